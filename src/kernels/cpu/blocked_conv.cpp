#include "kernels/cpu/blocked_conv.h"

namespace carnot {

BoundBlockedConv::BoundBlockedConv(const BindArguments& arguments, Analyze analyze,
                                   bool mayReadPlain)
    : stored_(decodeProblem(arguments.parameters, arguments.device)) {
  auto analysis = analyze(stored_.problem);
  if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
  conv_ = std::get<ConvProblem>(std::move(analysis));
  if (!conv_.layoutsHold(stored_.problem, stored_.configuration) || (readsPlain() && !mayReadPlain))
    throwBadParameters("the layouts are not the kernel's");
  inputs_ = conv_.runtimeInputs();
}

void BoundBlockedConv::takeWeights(const BindArguments& arguments, int64_t floats) {
  const auto& weights = arguments.weights;
  const int64_t columns = conv_.packedColumns() * conv_.outputBlocks() * conv_.block;
  if (weights.size() != 2 || weights[0].dtype != DType::F32 || weights[1].dtype != DType::F32 ||
      weights[0].count() != floats || weights[1].count() != columns)
    throwBadParameters("the packed weights have the wrong size");
  weights_ = weights[0].as<const float>();
  columns_ = weights[1].as<const float>();
}

int BoundBlockedConv::setting(std::string_view name, int64_t low, int64_t high) const {
  return static_cast<int>(parameter(stored_.configuration, name, low, high));
}

bool BoundBlockedConv::readsPlain() const {
  return stored_.configuration.inputs[static_cast<size_t>(conv_.x)].isPlain();
}

ConvShapes BoundBlockedConv::shapesOf(const ConcreteShapes& shapes) const {
  return conv_.shapesOf(concreteTypes(stored_, inputs_, shapes));
}

TilePointers BoundBlockedConv::pointersOf(const RunArguments& arguments,
                                          const ConvShapes& shapes) const {
  const int64_t channels = conv_.outputBlocks() * conv_.block;
  return blockedPointers(arguments, stored_.problem.outputs.size(), conv_.region, conv_.operands,
                         inputs_, columns_, channels,
                         channels * shapes.outHeight * shapes.outWidth);
}

const float* BoundBlockedConv::inputOf(const RunArguments& arguments) const {
  return static_cast<const float*>(arguments.inputs[positionOf(inputs_, conv_.x)]);
}

Prepared preparedConv(const Problem& problem, const Configuration& configuration,
                      const ConvProblem& conv, Tensor weights) {
  return {encodeProblem(problem, configuration),
          {std::move(weights), conv.packColumns(problem)},
          conv.runtimeInputs()};
}

}  // namespace carnot
