#pragma once

#include "kernels/cpu/conv_problem.h"

namespace carnot {

// What the kernels over a ConvProblem share once bound: the problem analyzed anew from its stored
// form, the packed weights, and the packed columns of the tail.
class BoundBlockedConv : public BoundKernel {
 protected:
  using Analyze = std::variant<Refusal, ConvProblem> (*)(const Problem& problem);

  // Throws Error (InvalidModel) when `analyze` refuses the problem, the layouts are not those of
  // ConvProblem::setLayouts, or the input is plain where that is not allowed.
  BoundBlockedConv(const BindArguments& arguments, Analyze analyze, bool mayReadPlain = false);
  // Weights as preparedConv leaves them. Throws Error (InvalidModel) unless they are `floats` many.
  void takeWeights(const BindArguments& arguments, int64_t floats);
  // An integer parameter of the configuration.
  int setting(std::string_view name, int64_t low, int64_t high) const;
  bool readsPlain() const;

  ConvShapes shapesOf(const ConcreteShapes& shapes) const;
  // Of one run: outputs and operands, and the convolved input.
  TilePointers pointersOf(const RunArguments& arguments, const ConvShapes& shapes) const;
  const float* inputOf(const RunArguments& arguments) const;

  StoredProblem stored_;
  ConvProblem conv_;
  const float *weights_ = nullptr, *columns_ = nullptr;
  std::vector<int> inputs_;
};

Prepared preparedConv(const Problem& problem, const Configuration& configuration,
                      const ConvProblem& conv, Tensor weights);

}  // namespace carnot
