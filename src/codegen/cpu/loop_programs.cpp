#include "codegen/cpu/loop_programs.h"

#include <bit>
#include <limits>

namespace carnot {
namespace {

ScalarOp operationOf(Fold fold) {
  switch (fold) {
    case Fold::Sum:
      return ScalarOp::Add;
    case Fold::Prod:
      return ScalarOp::Mul;
    case Fold::Max:
      return ScalarOp::Max;
    case Fold::Min:
      break;
  }
  return ScalarOp::Min;
}

int64_t lowestOf(DType type) {
  return isSigned(type) ? -1 - ((int64_t{1} << (dtypeBits(type) - 1)) - 1) : 0;
}
int64_t highestOf(DType type) {
  const int bits = dtypeBits(type) - (isSigned(type) ? 1 : 0);
  return bits == 64 ? -1 : static_cast<int64_t>((uint64_t{1} << bits) - 1);
}

uint16_t append(ScalarProgram& program, ScalarNode node) {
  program.nodes.push_back(node);
  return static_cast<uint16_t>(program.nodes.size() - 1);
}

uint16_t appendInput(ScalarProgram& program, size_t index, DType type) {
  ScalarNode node{.op = ScalarOp::Input, .dtype = type};
  node.index = static_cast<uint16_t>(index);
  return append(program, node);
}

}  // namespace

ScalarNode foldIdentity(Fold fold, DType type) {
  ScalarNode node{.op = ScalarOp::Constant, .dtype = type};
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  switch (fold) {
    case Fold::Sum:
      node.value = 0.0;
      if (!isFloat(type)) node.value = int64_t{0};
      break;
    case Fold::Prod:
      node.value = 1.0;
      if (!isFloat(type)) node.value = int64_t{1};
      break;
    case Fold::Max:
      node.value = -kInfinity;
      if (!isFloat(type)) node.value = lowestOf(type);
      break;
    case Fold::Min:
      node.value = kInfinity;
      if (!isFloat(type)) node.value = highestOf(type);
      break;
  }
  return node;
}

uint64_t foldIdentityBits(Fold fold, DType type) {
  const ScalarNode node = foldIdentity(fold, type);
  if (auto* integer = std::get_if<int64_t>(&node.value)) return static_cast<uint64_t>(*integer);
  const double value = std::get<double>(node.value);
  return type == DType::F64 ? std::bit_cast<uint64_t>(value)
                            : std::bit_cast<uint32_t>(static_cast<float>(value));
}

ScalarProgram foldOf(Fold fold, DType type) {
  ScalarProgram program;
  const uint16_t a = appendInput(program, 0, type), b = appendInput(program, 1, type);
  program.outputs = {append(program, {.op = operationOf(fold), .dtype = type, .args = {a, b, 0}})};
  return program;
}

ScalarProgram foldingProgram(const Loop::Pass& pass, bool masked) {
  ScalarProgram program = pass.elements.program;
  const size_t inputs = pass.elements.inputs.size(), stores = pass.elements.outputs.size();
  uint16_t counts = 0;
  if (masked) counts = appendInput(program, inputs + pass.folds.size(), DType::Bool);
  for (size_t i = 0; i < pass.folds.size(); ++i) {
    uint16_t& output = program.outputs[stores + i];
    const DType type = program.nodes[output].dtype;
    uint16_t value = output;
    if (masked) {
      const uint16_t identity = append(program, foldIdentity(pass.folds[i].fold, type));
      value = append(program,
                     {.op = ScalarOp::Select, .dtype = type, .args = {counts, value, identity}});
    }
    const uint16_t before = appendInput(program, inputs + i, type);
    output =
        append(program,
               {.op = operationOf(pass.folds[i].fold), .dtype = type, .args = {before, value, 0}});
  }
  return program;
}

}  // namespace carnot
