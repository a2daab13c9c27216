#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "ops/onnx_node.h"

namespace carnot {

// Attributes of a nested node.
using OnnxFields = std::map<std::string, std::variant<int64_t, double, std::string>, std::less<>>;

// The outputs of an ONNX operator within a larger one: imports operator `type` of ai.onnx with
// these inputs into `node`'s graph. It reads `fields` as its attributes, or, where those are null,
// the attributes of `node`.
std::vector<OnnxNode::Ref> importNested(OnnxNode& node, std::string_view type, int opset,
                                        std::vector<OnnxNode::Ref> inputs,
                                        const OnnxFields* fields = nullptr, size_t outputs = 1);
// Its first output.
OnnxNode::Ref emitNested(OnnxNode& node, std::string_view type, int opset,
                         std::vector<OnnxNode::Ref> inputs, const OnnxFields& fields = {});

}  // namespace carnot
