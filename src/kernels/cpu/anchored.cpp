#include "kernels/cpu/anchored.h"

#include <carnot/error.h>
#include <fmt/core.h>

#include <algorithm>

namespace carnot {
namespace {

// What a program does with its Input 0 behind the Cast to float32, which becomes Input 0; nullopt
// where something else reads it.
std::optional<ScalarProgram> behindCast(ScalarProgram program) {
  constexpr uint16_t kNone = UINT16_MAX;
  uint16_t sum = kNone;
  std::vector<bool> isCast(program.nodes.size());
  for (uint16_t i = 0; i < program.nodes.size(); ++i) {
    ScalarNode& node = program.nodes[i];
    if (node.op == ScalarOp::Input && node.index == 0) {
      if (sum != kNone) return std::nullopt;
      sum = i;
      node.dtype = DType::F32;
    }
    for (int arg = 0; arg < scalarArity(node.op); ++arg) {
      uint16_t& from = node.args[arg];
      if (from != sum && !isCast[from]) continue;
      if (from != sum) {
        from = sum;
      } else if (node.op == ScalarOp::Cast && node.dtype == DType::F32) {
        isCast[i] = true;
      } else {
        return std::nullopt;
      }
    }
  }
  for (uint16_t& output : program.outputs) {
    if (output == sum) return std::nullopt;
    if (isCast[output]) output = sum;
  }
  ScalarBuilder builder;  // leaves out what nothing reads
  std::vector<ScalarValue> inputs;
  for (const ScalarNode& node : program.nodes)
    if (node.op == ScalarOp::Input)
      while (inputs.size() <= node.index)
        inputs.push_back(builder.input(static_cast<int>(inputs.size()), DType::F32));
  const auto outputs = builder.inlined(program, inputs);
  return std::move(builder).finish(outputs);
}

}  // namespace

std::variant<Refusal, AnchoredRegion> anchoredRegion(const Problem& problem, std::string_view op,
                                                     TailRefusal tailRefusal, DType sums) {
  const Region& region = problem.region;
  AnchoredRegion out;
  out.anchor = region.anchor();
  if (!out.anchor || out.anchor->op.name() != op)
    return Refusal{fmt::format("carries out {}, not {}", op, region.label())};
  if (out.anchor->outputCount != 1)
    return Refusal{fmt::format("gives {}'s first output alone", op)};
  for (int input : out.anchor->inputs)
    if (input >= 0 && !region.isInput(input))
      return Refusal{fmt::format("computes nothing before {}", op)};
  try {
    out.types = problem.tensorTypes();
  } catch (const Error& error) {
    return Refusal{error.what()};
  }
  const int from = out.anchor->firstOutput;
  out.result = out.types[static_cast<size_t>(from)];
  if (out.result.dtype != sums)
    return Refusal{
        fmt::format("computes in {}, not {}", dtypeName(sums), dtypeName(out.result.dtype))};
  for (int output : region.outputs)
    if (out.types[static_cast<size_t>(output)].shape != out.result.shape)
      return Refusal{fmt::format("the steps behind {} change the shape", op)};
  auto tail = pointwiseTail(region, from, out.types);
  if (!tail) return Refusal{fmt::format("the steps behind {} are not all pointwise", op)};
  if (tail->program.outputs.size() != region.outputs.size())
    return Refusal{fmt::format("an output does not depend on {}", op)};
  for (int operand : tail->operands) {
    if (!region.isInput(operand)) return Refusal{fmt::format("computes nothing beside {}", op)};
    if (out.types[static_cast<size_t>(operand)].dtype != DType::F32)
      return Refusal{fmt::format("an operand behind {} is not float32", op)};
  }
  ScalarProgram program = tail->program;
  if (program.outputs.size() == 1 && program.nodes[program.outputs[0]].op == ScalarOp::Input &&
      program.nodes[program.outputs[0]].index == 0)
    return out;
  if (sums == DType::I32) {
    auto behind = behindCast(std::move(program));
    if (!behind) return Refusal{fmt::format("{}'s sums become float32 first", op)};
    program = std::move(*behind);
  }
  if (auto reason = tailRefusal(program, problem.device.isa))
    return Refusal{"the steps behind the products: " + *reason};
  out.program = std::move(program);
  out.operands = tail->operands;
  return out;
}

void prependAddition(AnchoredRegion& region, int input) {
  ScalarBuilder builder;
  std::vector<ScalarValue> inputs{builder.input(0, DType::F32) + builder.input(1, DType::F32)};
  for (size_t i = 0; i < region.operands.size(); ++i)
    inputs.push_back(builder.input(static_cast<int>(i) + 2, DType::F32));
  auto outputs = region.program.outputs.empty() ? std::vector<ScalarValue>{inputs[0]}
                                                : builder.inlined(region.program, inputs);
  region.program = std::move(builder).finish(outputs);
  region.operands.insert(region.operands.begin(), input);
}

std::vector<Along> variationOf(const Shape& operand, const Shape& result) {
  if (operand.rank() > result.rank()) return {};
  std::vector<Along> variation(result.rank(), Along::Fixed);
  const size_t missing = result.rank() - operand.rank();
  for (size_t axis = 0; axis < result.rank(); ++axis) {
    const Dim one = 1;
    if (result[axis] == one) {
      variation[axis] = Along::Either;
      continue;
    }
    if (axis < missing || operand[axis - missing] == one) continue;
    if (operand[axis - missing] != result[axis]) return {};
    variation[axis] = Along::Varies;
  }
  return variation;
}

bool variesExactlyAlong(std::span<const Along> variation, size_t first, size_t last) {
  for (size_t axis = 0; axis < variation.size(); ++axis) {
    const bool inside = axis >= first && axis < last;
    if (variation[axis] == (inside ? Along::Fixed : Along::Varies)) return false;
  }
  return true;
}

}  // namespace carnot
