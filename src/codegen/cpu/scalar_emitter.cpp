#include "codegen/cpu/scalar_emitter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "codegen/cpu/vector_emission.h"
#include "codegen/lower_math.h"

namespace carnot {
namespace {

// The register that a single value's load or store needs around it.
constexpr int kTemporaries = 3;

bool hasVectorType(DType type) {
  switch (type) {
    case DType::F32:
    case DType::F64:
    case DType::F16:
    case DType::BF16:
    case DType::I8:
    case DType::I16:
    case DType::I32:
    case DType::I64:
    case DType::U8:
    case DType::U16:
    case DType::U32:
    case DType::U64:
    case DType::Bool:
      return true;
    default:
      return false;
  }
}

// Operations that exist on vectors of this class after lowering.
bool hasVectorCode(ScalarOp op, ValueClass kind, IsaSet isa) {
  const bool isFloatKind = kind == ValueClass::F32 || kind == ValueClass::F64;
  switch (op) {
    case ScalarOp::Input:
    case ScalarOp::Constant:
    case ScalarOp::Equal:
    case ScalarOp::Select:
    case ScalarOp::Cast:
      return true;
    case ScalarOp::Add:
    case ScalarOp::Sub:
    case ScalarOp::Mul:
    case ScalarOp::Div:
    case ScalarOp::Min:
    case ScalarOp::Max:
    case ScalarOp::Neg:
    case ScalarOp::Abs:
    case ScalarOp::Less:
    case ScalarOp::LessEqual:
      return kind != ValueClass::Mask;
    case ScalarOp::Fma:
      return isFloatKind || kind == ValueClass::I32;
    case ScalarOp::Sqrt:
    case ScalarOp::Reciprocal:
    case ScalarOp::Floor:
    case ScalarOp::Ceil:
    case ScalarOp::RoundEven:
    case ScalarOp::Trunc:
    case ScalarOp::IsNan:
      return isFloatKind;
    case ScalarOp::Ldexp:
      return isFloatKind && isa.has(Isa::Avx512);
    case ScalarOp::And:
    case ScalarOp::Or:
    case ScalarOp::Xor:
    case ScalarOp::Not:
      return kind == ValueClass::Mask;
    case ScalarOp::FloorMod:
    case ScalarOp::TruncMod:
    case ScalarOp::BitAnd:
    case ScalarOp::BitOr:
    case ScalarOp::BitXor:
    case ScalarOp::BitNot:
    case ScalarOp::ShiftLeft:
    case ScalarOp::ShiftRight:
      return kind == ValueClass::I32 || kind == ValueClass::I64;
    case ScalarOp::Bitcast:
      return kind != ValueClass::Mask;
    default:
      return false;
  }
}

MathTarget targetOf(IsaSet isa) { return {.ldexp = isa.has(Isa::Avx512)}; }

}  // namespace

ScalarEmitter::ScalarEmitter(Assembler& assembler, const ScalarProgram& program, int vectorBytes,
                             bool halfLanes)
    : assembler_(assembler) {
  const ScalarProgram lowered = lowerMath(program, targetOf(assembler.isa()));
  plan_ = std::make_unique<VectorPlan>(lowered,
                                       vectorBytes == 0 ? assembler.vectorBytes() : vectorBytes,
                                       halfLanes || VectorPlan::isWideProgram(lowered));
}

bool ScalarEmitter::needsHalfLanes(const ScalarProgram& program, IsaSet isa) {
  return VectorPlan::isWideProgram(lowerMath(program, targetOf(isa)));
}

ScalarEmitter::~ScalarEmitter() = default;

std::optional<std::string> ScalarEmitter::refusal(const ScalarProgram& program, IsaSet isa) {
  if (!isa.has(Isa::Avx2)) return "generated code needs AVX2";
  const ScalarProgram lowered = lowerMath(program, targetOf(isa));
  for (const ScalarNode& node : lowered.nodes) {
    if (!hasVectorType(node.dtype))
      return fmt::format("{} has no vector registers", dtypeName(node.dtype));
    const DType operand = scalarArity(node.op) > 0 ? lowered.nodes[node.args[0]].dtype : node.dtype;
    const DType decisive = node.op == ScalarOp::Select ? node.dtype : operand;
    if (!hasVectorCode(node.op, classOf(decisive), isa))
      return fmt::format("{} of {} has no vector code", scalarOpName(node.op), dtypeName(decisive));
    const bool sixteen = dtypeBits(node.dtype) == 16 && isFloat(node.dtype);
    if (node.op == ScalarOp::Bitcast && (sixteen || isFloat(operand) != isFloat(node.dtype)) &&
        dtypeBits(node.dtype) < 32)
      return fmt::format("bitcast to {} has no vector code", dtypeName(node.dtype));
  }
  return std::nullopt;
}

int ScalarEmitter::lanes() const { return plan_->lanes; }

int ScalarEmitter::size() const {
  return static_cast<int>(std::ranges::count_if(
      plan_->program.nodes, [](const ScalarNode& node) { return node.op != ScalarOp::Constant; }));
}

int ScalarEmitter::registerBytes(DType type) const { return plan_->bytesOf(classOf(type)); }

int ScalarEmitter::registersNeeded() const { return plan_->peak + kTemporaries; }

int ScalarEmitter::stackBytes() const {
  const auto isInput = [](const ScalarNode& node) { return node.op == ScalarOp::Input; };
  const auto inputs = std::ranges::count_if(plan_->program.nodes, isInput);
  return VectorEmission::kScratches * VectorEmission::kScratchBytes +
         (plan_->peak + static_cast<int>(inputs) + 1) * plan_->vectorBytes;
}

void ScalarEmitter::emit(const EmitterRegisters& registers,
                         const std::vector<VectorSource>& sources,
                         const std::vector<VectorSink>& sinks, const VectorTail& tail) const {
  VectorEmission(assembler_, *plan_, registers, tail).run(sources, sinks);
}

void ScalarEmitter::load(DType type, int reg, const VectorSource& source,
                         const EmitterRegisters& registers, const VectorTail& tail) const {
  VectorEmission(assembler_, *plan_, registers, tail)
      .loadVector(type, Assembler::vector(reg, registerBytes(type)), source);
}

void ScalarEmitter::store(DType type, int reg, Xbyak::RegExp where,
                          const EmitterRegisters& registers, const VectorTail& tail) const {
  VectorEmission(assembler_, *plan_, registers, tail)
      .storeVector(type, Assembler::vector(reg, registerBytes(type)), where);
}

}  // namespace carnot
