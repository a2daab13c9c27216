#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/onnx/model.h"

namespace carnot {

// "NonMaxSuppression", "com.microsoft.Gelu".
std::string onnxTypeName(const OnnxNodeProto& node);

// Where the nodes of a list find their opsets and functions.
struct OnnxLookup {
  std::function<int(std::string_view domain)> opset;
  // The opsets of a function's body go with it.
  std::function<const OnnxFunction*(const OnnxNodeProto& node)> function;
  std::function<OnnxLookup(const OnnxFunction& function)> inside;
};

// Types that the importer itself carries out.
bool isImportedItself(const OnnxNodeProto& node);

struct UnsupportedNode {
  int index = -1;  // in the list of nodes; of one inside a function, that of the call
  std::string name, type;
  std::string hint;  // what is near, or since when it is supported; may be empty
};
// Every node of these, and of the functions that they call, whose type cannot be imported.
std::vector<UnsupportedNode> unsupportedNodes(const std::vector<OnnxNodeProto>& nodes,
                                              const OnnxLookup& lookup);

// Throws Error (Unsupported) naming every type of these nodes, and of the functions that they call,
// that cannot be imported: with its first node, and the supported type nearest by name.
void requireSupported(const std::vector<OnnxNodeProto>& nodes, const OnnxLookup& lookup);

}  // namespace carnot
