#pragma once

#include <optional>
#include <vector>

#include "ops/onnx_node.h"

namespace carnot {

// What import functions share.

// Axes that a node names, in its order, non-negative and distinct: input `input` where the node has
// it, else attribute `attribute`; nullopt when neither is there.
std::optional<std::vector<int64_t>> importAxes(const OnnxNode& node, size_t input,
                                               std::string_view attribute, size_t rank);
// Attribute `name`, non-negative.
int64_t importAxis(const OnnxNode& node, std::string_view name, int64_t fallback, size_t rank);
// x, which must have the rank: throws Error (InvalidModel) saying what it should be.
OnnxNode::Ref ofRank(const OnnxNode& node, OnnxNode::Ref x, size_t rank, std::string_view dims);
// Input i's integers as dims; throws Error (Unsupported) when they are computed from data.
std::vector<Dim> importDims(const OnnxNode& node, size_t i);
// 1-D int64 constant.
OnnxNode::Ref emitInts(OnnxNode& node, const std::vector<int64_t>& values);
// 1-D int64 of expressions: a constant when they all are.
OnnxNode::Ref emitDims(OnnxNode& node, const std::vector<Dim>& values);
// Reshape, or the input itself when the shape is the one that it has.
OnnxNode::Ref emitReshape(OnnxNode& node, OnnxNode::Ref x, Shape shape);
OnnxNode::Ref emitTranspose(OnnxNode& node, OnnxNode::Ref x, std::vector<int64_t> perm);
// x as elements of another type, or x itself when it has it.
OnnxNode::Ref emitCast(OnnxNode& node, OnnxNode::Ref x, DType to);
// The narrowest floating-point type that holds both.
DType commonFloat(DType a, DType b);
// x[start:end] along one axis, as constants.
OnnxNode::Ref emitSlice(OnnxNode& node, OnnxNode::Ref x, int64_t axis, int64_t start, int64_t end);
// int64 0, 1, ... up to the extent of an axis, which may be symbolic.
OnnxNode::Ref emitPositions(OnnxNode& node, OnnxNode::Ref x, int64_t axis);
// A scalar of x's type.
OnnxNode::Ref scalarLike(OnnxNode& node, OnnxNode::Ref x, double value);

}  // namespace carnot
