#include "ops/onnx_blocks.h"

#include "base/error.h"
#include "ops/onnx_axes.h"

namespace carnot {

namespace {

struct Blocks {
  OnnxNode::Ref x;
  Dim batch, channels, height, width, size;
  bool depthFirst;  // DCR: the block's position is the slower part of the channel
};

Blocks blocksOf(const OnnxNode& node) {
  const OnnxNode::Ref x = node.requireInput(0);
  const Shape& shape = node.shapeOf(x);
  if (shape.rank() != 4)
    throw Error(ErrorCode::InvalidModel, fmt::format("input of shape {}", shape.toString()),
                "[N, C, H, W]");
  const int64_t size = node.attributeInt("blocksize", 0);
  if (size < 1)
    throw Error(ErrorCode::InvalidModel, fmt::format("blocksize {}", size), "at least 1");
  const std::string mode = node.attributeString("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    throw Error(ErrorCode::InvalidModel, fmt::format("mode \"{}\"", mode), "DCR or CRD");
  return {x, shape[0], shape[1], shape[2], shape[3], size, mode == "DCR"};
}

// a / b, which must leave no remainder where that is known.
Dim quotient(const Dim& a, const Dim& b, const char* what) {
  if (compare(floorMod(a, b), Dim(0)) == Equality::No)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} {}", a.toString(), what),
                fmt::format("a multiple of {}", b.toString()));
  return floorDiv(a, b);
}

}  // namespace

void importDepthToSpace(OnnxNode& node) {
  const Blocks b = blocksOf(node);
  const Dim depth = quotient(b.channels, b.size * b.size, "channels");
  OnnxNode::Ref y = b.x;
  if (b.depthFirst) {
    y = emitReshape(node, y, {b.batch, b.size, b.size, depth, b.height, b.width});
    y = emitTranspose(node, y, {0, 3, 4, 1, 5, 2});
  } else {
    y = emitReshape(node, y, {b.batch, depth, b.size, b.size, b.height, b.width});
    y = emitTranspose(node, y, {0, 1, 4, 2, 5, 3});
  }
  node.setOutput(0, emitReshape(node, y, {b.batch, depth, b.height * b.size, b.width * b.size}));
}

void importSpaceToDepth(OnnxNode& node) {
  const Blocks b = blocksOf(node);
  const Dim rows = quotient(b.height, b.size, "rows"),
            columns = quotient(b.width, b.size, "columns");
  OnnxNode::Ref y = emitReshape(node, b.x, {b.batch, b.channels, rows, b.size, columns, b.size});
  y = emitTranspose(node, y,
                    b.depthFirst ? std::vector<int64_t>{0, 3, 5, 1, 2, 4}
                                 : std::vector<int64_t>{0, 1, 3, 5, 2, 4});
  node.setOutput(0, emitReshape(node, y, {b.batch, b.channels * b.size * b.size, rows, columns}));
}

}  // namespace carnot
