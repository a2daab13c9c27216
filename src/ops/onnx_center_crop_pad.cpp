#include "ops/onnx_center_crop_pad.h"

#include <numeric>

#include "base/error.h"
#include "ops/onnx_axes.h"
#include "ops/pad.h"
#include "ops/slice.h"

namespace carnot {

void importCenterCropPad(OnnxNode& node) {
  OnnxNode::Ref x = node.requireInput(0);
  const Shape input = node.shapeOf(x);
  const size_t rank = input.rank();
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (auto given = importAxes(node, node.inputCount(), "axes", rank)) axes = *given;
  const std::vector<Dim> sizes = importDims(node, 1);
  if (sizes.size() != axes.size())
    throw Error(ErrorCode::InvalidModel, fmt::format("{} sizes", sizes.size()),
                fmt::format("one for each of {} axes", axes.size()));
  std::vector<Dim> starts, ends, pads(2 * rank, 0);
  bool crops = false, grows = false;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i]);
    const Dim cropped = max(input[axis] - sizes[i], Dim(0));
    const Dim grown = max(sizes[i] - input[axis], Dim(0));
    starts.push_back(floorDiv(cropped, Dim(2)));
    ends.push_back(starts.back() + min(input[axis], sizes[i]));
    pads[axis] = floorDiv(grown, Dim(2));
    pads[rank + axis] = grown - pads[axis];
    crops = crops || cropped != Dim(0);
    grows = grows || grown != Dim(0);
  }
  if (crops)
    x = node.emit(Operator::of(Slice{.axes = axes, .steps = std::vector<int64_t>(axes.size(), 1)}),
                  {x, emitDims(node, starts), emitDims(node, ends)});
  if (grows) x = node.emit(Operator::of(Pad{}), {x, emitDims(node, pads)});
  node.setOutput(0, x);
}

}  // namespace carnot
