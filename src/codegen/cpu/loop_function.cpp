#include "codegen/cpu/loop_function.h"

#include <fmt/format.h>

#include "codegen/cpu/loop_interpreter.h"
#include "codegen/cpu/loop_jit.h"

namespace carnot {
namespace {

bool hasMachineCode(const Loop& loop, IsaSet isa) {
  return isa.has(Isa::Avx2) && !refuseMachineCode(loop, isa);
}

}  // namespace

int maxLoopPeriod(const Loop& loop, IsaSet isa) {
  return hasMachineCode(loop, isa) ? loopLanes(loop, isa) : 16;
}

std::shared_ptr<const LoopFunction> makeLoopFunction(const Loop& loop,
                                                     const LoopShape::Variant& variant,
                                                     IsaSet isa) {
  if (hasMachineCode(loop, isa)) return compileLoop(loop, variant, isa);
  return interpretLoop(loop, variant);
}

std::optional<std::string> refuseLoop(const Loop& loop) {
  if (loop.operands.size() > LoopArguments::kMaxOperands)
    return fmt::format("{} tensors, more than {}", loop.operands.size(),
                       LoopArguments::kMaxOperands);
  if (loop.temporaries.size() > LoopArguments::kMaxTemporaries)
    return fmt::format("{} values kept between passes, more than {}", loop.temporaries.size(),
                       LoopArguments::kMaxTemporaries);
  auto hasBytes = [](DType type) { return !isComplex(type) && dtypeBits(type) % 8 == 0; };
  for (const Loop::Operand& operand : loop.operands)
    if (!hasBytes(operand.dtype)) return fmt::format("elements of {}", dtypeName(operand.dtype));
  for (const Loop::Pass& pass : loop.passes)
    for (const Loop::Code* code : {&pass.row, &pass.elements})
      for (const ScalarNode& node : code->program.nodes)
        if (!hasBytes(node.dtype)) return fmt::format("elements of {}", dtypeName(node.dtype));
  return std::nullopt;
}

}  // namespace carnot
