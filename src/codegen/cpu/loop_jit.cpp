#include "codegen/cpu/loop_jit.h"

#include "codegen/cpu/loop_compiler.h"
#include "codegen/cpu/loop_programs.h"

namespace carnot {

int loopLanes(const Loop& loop, IsaSet isa) {
  bool half = false;
  for (const Loop::Pass& pass : loop.passes)
    for (const Loop::Code* code : {&pass.row, &pass.elements})
      half |= ScalarEmitter::needsHalfLanes(code->program, isa);
  const int bytes = isa.has(Isa::Avx512) ? 64 : 32;
  return bytes / (half ? 8 : 4);
}

std::optional<std::string> refuseMachineCode(const Loop& loop, IsaSet isa) {
  constexpr size_t kMaxFolds = 6;
  for (const Loop::Pass& pass : loop.passes) {
    if (pass.folds.size() > kMaxFolds) return "more folds in one pass than registers hold";
    for (const auto& fold : pass.folds)
      if (auto reason = ScalarEmitter::refusal(foldOf(fold.fold, loop.scalars[fold.scalar]), isa))
        return reason;
    for (const Loop::Code* code : {&pass.row, &pass.elements})
      if (auto reason = ScalarEmitter::refusal(code->program, isa)) return reason;
  }
  return std::nullopt;
}

std::shared_ptr<const LoopFunction> compileLoop(const Loop& loop, const LoopShape::Variant& variant,
                                                IsaSet isa) {
  return LoopCompiler(loop, variant, isa, loopLanes(loop, isa)).compile();
}

}  // namespace carnot
