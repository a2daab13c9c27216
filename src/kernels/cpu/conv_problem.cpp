#include "kernels/cpu/conv_problem.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "ops/conv.h"
#include "ops/conv_transpose.h"

namespace carnot {

constexpr int64_t kMaxDim = 1 << 20;   // of weights and windows
constexpr int64_t kMostTogether = 64;  // groups: beyond, zeros cost more than single numbers

std::variant<Refusal, std::vector<BlockedOperand>> blockedOperands(const Problem& problem,
                                                                   const AnchoredRegion& region,
                                                                   size_t biases) {
  std::vector<BlockedOperand> out;
  const size_t rank = region.result.shape.rank();
  for (size_t i = 0; i < region.operands.size(); ++i) {
    const TensorDesc& desc = problem.inputs[static_cast<size_t>(region.operands[i])];
    if (i < biases) {
      if (!desc.constant) return Refusal{"packs a constant bias"};
      out.push_back({.kind = EpilogueOperand::Column, .packed = true});
      continue;
    }
    const auto variation = variationOf(desc.shape, region.result.shape);
    if (variation.empty())
      return Refusal{fmt::format("{} does not broadcast to {} for certain", desc.shape.toString(),
                                 region.result.shape.toString())};
    BlockedOperand operand;
    if (variesExactlyAlong(variation, 0, 0)) {
      out.push_back(operand);
      continue;
    }
    operand.perImage = desc.shape.rank() == rank && desc.shape[0] == region.result.shape[0];
    operand.packed = desc.constant && variesExactlyAlong(variation, 1, 2);
    if (variesExactlyAlong(variation, 0, 2) || variesExactlyAlong(variation, 1, 2))
      operand.kind = EpilogueOperand::Column;
    else if (variesExactlyAlong(variation, 0, rank) || variesExactlyAlong(variation, 1, rank))
      operand.kind = EpilogueOperand::Element;
    else
      return Refusal{
          fmt::format("an operand {} repeats along some spatial axis", desc.shape.toString())};
    if (!operand.packed && desc.shape.rank() != rank)
      return Refusal{fmt::format("an operand {} of another rank has no channel blocks",
                                 desc.shape.toString())};
    out.push_back(operand);
  }
  if (out.size() + problem.outputs.size() > kMaxTilePointers)
    return Refusal{"the steps behind take too many operands"};
  return out;
}

void setBlockedLayouts(const Problem& problem, const AnchoredRegion& region,
                       std::span<const BlockedOperand> operands, int block,
                       Configuration& configuration) {
  configuration.inputs = plainLayouts(problem.inputs.size());
  configuration.outputs.assign(problem.outputs.size(), Layout::channelBlocked(block));
  for (size_t i = 0; i < operands.size(); ++i)
    if (!operands[i].packed && operands[i].kind != EpilogueOperand::Scalar)
      configuration.inputs[static_cast<size_t>(region.operands[i])] = Layout::channelBlocked(block);
}

Tensor packBlockedColumns(const Problem& problem, const AnchoredRegion& region,
                          std::span<const BlockedOperand> operands, int64_t channels, int block) {
  const int64_t padded = (channels + block - 1) / block * block;
  const int64_t count = std::ranges::count(operands, true, &BlockedOperand::packed);
  Tensor out(DType::F32, {count, padded});
  float* to = out.as<float>();
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].packed) continue;
    const Tensor& constant = *problem.inputs[static_cast<size_t>(region.operands[i])].constant;
    auto* from = static_cast<const float*>(constant.data());
    std::copy(from, from + channels, to);
    std::fill(to + channels, to + padded, 0.0f);
    to += padded;
  }
  return out;
}

TilePointers blockedPointers(const RunArguments& arguments, size_t outputs,
                             const AnchoredRegion& region, std::span<const BlockedOperand> operands,
                             std::span<const int> runtimeInputs, const float* columns,
                             int64_t channelsOfImage, int64_t elementsOfImage) {
  TilePointers pointers;
  for (size_t i = 0; i < outputs; ++i) pointers.addOutput(arguments.outputs[i], elementsOfImage);
  for (size_t i = 0; i < operands.size(); ++i) {
    const BlockedOperand& operand = operands[i];
    if (operand.packed) {
      pointers.addOperand(columns, operand.kind, 0);
      columns += channelsOfImage;
      continue;
    }
    const void* base = arguments.inputs[positionOf(runtimeInputs, region.operands[i])];
    const int64_t stride =
        operand.kind == EpilogueOperand::Column ? channelsOfImage : elementsOfImage;
    pointers.addOperand(base, operand.kind, operand.perImage ? stride : 0);
  }
  return pointers;
}

namespace {

template <typename Op>
std::variant<Refusal, ConvProblem> convProblemOf(const Problem& problem, AnchoredRegion region) {
  constexpr bool kTransposed = std::is_same_v<Op, ConvTranspose>;
  ConvProblem out;
  out.region = std::move(region);
  const Region::Step& step = *out.region.anchor;
  const Op& conv = *step.op.as<Op>();
  out.x = step.inputs[0];
  out.w = step.inputs[1];
  const TensorDesc& w = problem.inputs[static_cast<size_t>(out.w)];
  if (!w.constant || !w.shape.isStatic() || out.x == out.w)
    return Refusal{"packs constant weights"};
  if (problem.inputs[static_cast<size_t>(out.x)].dtype != DType::F32)
    return Refusal{"multiplies float32"};
  const size_t axes = w.shape.rank() - 2;
  if (axes > 2) return Refusal{fmt::format("has one or two spatial axes, not {}", axes)};
  std::vector<int64_t> dims = w.shape.concrete();
  for (int64_t dim : dims)
    if (dim < 1 || dim > kMaxDim) return Refusal{"the weights are empty or beyond all bounds"};
  out.block = problem.device.floatLanes();
  out.group = conv.group;
  out.inputs = kTransposed ? dims[0] / conv.group : dims[1];
  out.outputs = kTransposed ? dims[1] : dims[0] / conv.group;
  out.lastInputs = out.inputs;
  out.lastOutputs = out.outputs;
  out.line = axes == 1;
  auto axis = [&](size_t i) {
    return WindowAxis{dims[2 + i], conv.strides[i], conv.dilations[i], conv.pads[i],
                      conv.pads[axes + i]};
  };
  if (!out.line) out.height = axis(0);
  out.width = axis(axes - 1);
  // Lines of one pixel are one long line, so that tiles have rows.
  const Dim& last = problem.inputs[static_cast<size_t>(out.x)].shape[1 + axes];
  if (!kTransposed && !out.line && out.width.kernel == 1 && !out.width.padded() && last == Dim(1)) {
    out.width = std::exchange(out.height, {});
    out.line = out.upright = true;
  }
  for (const WindowAxis& each : {out.height, out.width})
    for (int64_t extent : {each.stride, each.dilation, each.padBegin, each.padEnd})
      if (extent > kMaxDim) return Refusal{"the window is beyond all bounds"};
  const int bias = step.inputs.size() > 2 ? step.inputs[2] : -1;
  if (bias >= 0) prependAddition(out.region, bias);
  if (std::ranges::find(out.region.operands, out.w) != out.region.operands.end())
    return Refusal{"packs weights that nothing else reads"};
  auto operands = blockedOperands(problem, out.region, bias >= 0 ? 1 : 0);
  if (auto* refusal = std::get_if<Refusal>(&operands)) return *refusal;
  out.operands = std::get<std::vector<BlockedOperand>>(std::move(operands));
  return out;
}

}  // namespace

std::variant<Refusal, ConvProblem> convProblem(const Problem& problem, bool transposed) {
  auto anchored = anchoredRegion(problem, transposed ? "ConvTranspose" : "Conv");
  if (auto* refusal = std::get_if<Refusal>(&anchored)) return *refusal;
  AnchoredRegion region = std::get<AnchoredRegion>(std::move(anchored));
  return transposed ? convProblemOf<ConvTranspose>(problem, std::move(region))
                    : convProblemOf<Conv>(problem, std::move(region));
}

bool ConvProblem::mergeGroups() {
  auto fillBlocks = [&](int64_t count) {
    auto fill = [&](int64_t channels) {
      const int64_t left = group % count * channels;
      return channels * count % block == 0 &&
             (left == 0 || blocksOf(left) == blocksOf(channels * count));
    };
    return fill(inputs) && fill(outputs);
  };
  int64_t count = 1;
  while (count <= std::min<int64_t>(block, group) && !fillBlocks(count)) ++count;
  if (count > group || !fillBlocks(count)) count = group;
  if (count > kMostTogether) return false;
  const int64_t last = group % count == 0 ? count : group % count;
  lastInputs = last * inputs;
  lastOutputs = last * outputs;
  together = count;
  group = (group + count - 1) / count;
  inputs *= count;
  outputs *= count;
  return true;
}

std::vector<int> ConvProblem::runtimeInputs() const {
  std::vector<int> inputs{x};
  for (size_t i = 0; i < operands.size(); ++i)
    if (!operands[i].packed) inputs.push_back(region.operands[i]);
  std::ranges::sort(inputs);
  inputs.erase(std::ranges::unique(inputs).begin(), inputs.end());
  return inputs;
}

void ConvProblem::setLayouts(const Problem& problem, Layout xLayout,
                             Configuration& configuration) const {
  setBlockedLayouts(problem, region, operands, block, configuration);
  configuration.inputs[static_cast<size_t>(x)] = xLayout;
}

bool ConvProblem::layoutsHold(const Problem& problem, const Configuration& configuration) const {
  const Layout xLayout = configuration.inputs[static_cast<size_t>(x)];
  if (xLayout != Layout::channelBlocked(block) && !(xLayout.isPlain() && mayReadPlain()))
    return false;
  Configuration expected;
  setLayouts(problem, xLayout, expected);
  return expected.inputs == configuration.inputs && expected.outputs == configuration.outputs;
}

bool ConvProblem::mayReadPlain() const {
  return std::ranges::find(region.operands, x) == region.operands.end();
}

int64_t ConvProblem::packedColumns() const {
  return std::ranges::count(operands, true, &BlockedOperand::packed);
}

Tensor ConvProblem::packColumns(const Problem& problem) const {
  return packBlockedColumns(problem, region, operands, (group - 1) * outputs + lastOutputs, block);
}

ConvShapes ConvProblem::shapesOf(const std::vector<TensorType>& concrete) const {
  const std::vector<int64_t> in = concrete[static_cast<size_t>(x)].shape.concrete();
  const std::vector<int64_t> to =
      concrete[static_cast<size_t>(region.anchor->firstOutput)].shape.concrete();
  ConvShapes shapes{.images = in[0], .inWidth = in.back(), .outWidth = to.back()};
  if (upright) {
    shapes.inWidth = in[2];
    shapes.outWidth = to[2];
  } else if (!line) {
    shapes.inHeight = in[2];
    shapes.outHeight = to[2];
  }
  return shapes;
}

}  // namespace carnot
