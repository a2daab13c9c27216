#include "kernels/anchored_conv.h"

#include <fmt/format.h>

#include "ops/conv.h"
#include "ops/conv_transpose.h"

namespace carnot {

std::variant<Refusal, AnchoredConv> anchoredConv(const Problem& problem) {
  const Region& region = problem.region;
  const Region::Step* anchor = region.anchor();
  const Conv* forward = anchor ? anchor->op.as<Conv>() : nullptr;
  const ConvTranspose* transposed = anchor ? anchor->op.as<ConvTranspose>() : nullptr;
  if (!forward && !transposed)
    return Refusal{fmt::format("carries out convolutions, not {}", region.label())};
  for (int input : anchor->inputs)
    if (input >= 0 && !region.isInput(input))
      return Refusal{"computes nothing before the convolution"};
  AnchoredConv conv;
  conv.transposed = transposed != nullptr;
  auto take = [&](const auto& op) {
    const auto middle = op.pads.begin() + static_cast<ptrdiff_t>(op.strides.size());
    conv.group = op.group;
    conv.strides = op.strides;
    conv.dilations = op.dilations;
    conv.padsBegin.assign(op.pads.begin(), middle);
    conv.padsEnd.assign(middle, op.pads.end());
  };
  if (forward)
    take(*forward);
  else
    take(*transposed);
  conv.x = anchor->inputs[0];
  conv.w = anchor->inputs[1];
  if (anchor->inputs.size() > 2 && anchor->inputs[2] >= 0 &&
      problem.inputs[static_cast<size_t>(anchor->inputs[2])].present)
    conv.bias = anchor->inputs[2];
  conv.dtype = problem.inputs[static_cast<size_t>(conv.x)].dtype;
  const std::vector<TensorType> types = problem.tensorTypes();
  const int from = anchor->firstOutput;
  if (region.outputs.size() != 1) return Refusal{"gives one tensor"};
  const TensorType& result = types[static_cast<size_t>(region.outputs[0])];
  if (result.shape != types[static_cast<size_t>(from)].shape)
    return Refusal{"the steps behind change the shape"};
  conv.out = result.dtype;
  if (region.outputs[0] == from) return conv;
  auto tail = pointwiseTail(region, from, types);
  if (!tail || tail->program.outputs.size() != 1)
    return Refusal{"the steps behind are not all pointwise"};
  for (int operand : tail->operands)
    if (!region.isInput(operand)) return Refusal{"computes nothing beside the convolution"};
  conv.tail = std::move(tail->program);
  conv.operands = std::move(tail->operands);
  return conv;
}

}  // namespace carnot
