#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// ONNX node types that no operator of ours stands for: they import as nothing, as constants, or as
// several operators none of which is the main one.
std::span<const OnnxMapping> onnxAliases();

// How a node of this type and opset of its domain is imported; null: it is not. "ai.onnx" is "".
const OnnxMapping* findOnnxMapping(std::string_view domain, std::string_view type, int opset);

// The supported types of a domain, sorted; with `opset` 0 those of any opset.
std::vector<std::string> supportedOnnxTypes(std::string_view domain, int opset = 0);

}  // namespace carnot
