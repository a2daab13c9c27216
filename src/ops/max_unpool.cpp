#include "ops/max_unpool.h"

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_window.h"
#include "ops/pad.h"
#include "ops/requirements.h"

namespace carnot {

static void infer(const MaxUnpool& op, InferContext& context) {
  const Shape &x = context.shape(0), &indices = context.shape(1);
  requireImage(context, 0);
  requireDims(context, op.shape);
  context.require(context.dtype(1) == DType::I64,
                  fmt::format("indices of type {}", dtypeName(context.dtype(1))), "int64");
  context.require(indices.rank() == x.rank() && op.shape.rank() == x.rank(),
                  fmt::format("input {}, indices {} and output {}", x.toString(),
                              indices.toString(), op.shape.toString()),
                  "equal ranks");
  for (size_t axis = 0; axis < x.rank(); ++axis)
    context.requireEqual(x[axis], indices[axis], "dims of input and indices");
  context.setOutput(0, context.dtype(0), op.shape);
}

static void reference(const MaxUnpool&, const ReferenceContext& context) {
  const TensorView &x = context.in(0), &y = context.out(0);
  const int64_t elements = y.count();
  zeroElements(y);
  for (int64_t i = 0; i < x.count(); ++i) {
    const int64_t to = context.in(1).loadInt(i);
    if (to < 0 || to >= elements)
      throw Error(ErrorCode::InvalidArgument, fmt::format("index {}", to),
                  fmt::format("one of {} elements", elements));
    copyElement(x, i, y, to);
  }
}

static Cost cost(const MaxUnpool&, const CostContext& context) {
  return {.flops = 0, .bytes = context.allBytes()};
}

// Indices are of the shape that the pool's attributes give back; a larger output_shape has zeros
// after it.
static void importMaxUnpool(OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape input = node.shapeOf(x);
  const std::vector<int64_t> kernel = node.attributeInts("kernel_shape");
  const size_t axes = kernel.size();
  const std::vector<int64_t> strides = importPerAxis(node, "strides", axes, 1),
                             pads = importPerAxis(node, "pads", 2 * axes, 0);
  if (axes == 0 || input.rank() != axes + 2 || strides.size() != axes || pads.size() != 2 * axes)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {}, a kernel of {} axes, {} strides, {} pads", input.toString(),
                            axes, strides.size(), pads.size()),
                "[N, C] and as many spatial dims as the kernel; a stride and two pads for each");
  Shape shape{input[0], input[1]};
  for (size_t axis = 0; axis < axes; ++axis)
    shape.push((input[2 + axis] - 1) * Dim(strides[axis]) + Dim(kernel[axis]) - Dim(pads[axis]) -
               Dim(pads[axes + axis]));
  OnnxNode::Ref y = node.emit(Operator::of(MaxUnpool{.shape = shape}), {x, node.requireInput(1)});
  if (node.hasInput(2)) {
    const std::vector<Dim> wanted = importDims(node, 2);
    if (wanted.size() != shape.rank())
      throw Error(ErrorCode::InvalidModel, fmt::format("{} dims of the output", wanted.size()),
                  fmt::format("{}", shape.rank()));
    std::vector<int64_t> grown(2 * shape.rank(), 0);
    bool same = true;
    for (size_t axis = 0; axis < shape.rank(); ++axis) {
      const auto more = (wanted[axis] - shape[axis]).tryConstant();
      if (!more || *more < 0)
        node.unsupported(
            fmt::format("an output {} over {}", Shape(wanted).toString(), shape.toString()),
            "dims that are larger by constants");
      grown[shape.rank() + axis] = *more;
      same = same && *more == 0;
    }
    if (!same) y = node.emit(Operator::of(Pad{}), {y, emitInts(node, grown)});
  }
  node.setOutput(0, y);
}

template <>
const OpDef& definitionOf<MaxUnpool>() {
  static const OpDef kRow = defineOperator<MaxUnpool>("MaxUnpool", Access::Opaque,
                                                      {{"", "MaxUnpool", 9, 0, importMaxUnpool}});
  return kRow;
}

}  // namespace carnot
