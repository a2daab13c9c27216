#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "frontend/onnx/emit.h"
#include "frontend/onnx/item.h"
#include "frontend/onnx/model.h"
#include "frontend/onnx/node_view.h"
#include "frontend/onnx/unsupported.h"

namespace carnot::onnx {

inline constexpr int64_t kNewestIrVersion = 14;
inline constexpr int64_t kNewestOpset = 28;
inline constexpr int kMostNested = 64;          // calls and branches within one another
inline constexpr size_t kMostNodes = 1u << 18;  // after inlining

inline std::string_view canonicalDomain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view{} : domain;
}

inline std::string nodeName(const OnnxNodeProto& node, size_t index) {
  return node.name.empty() ? fmt::format("{}_{}", node.type, index) : std::string(node.name);
}

inline std::string nodeFrame(const OnnxNodeProto& node, std::string_view name) {
  return fmt::format("node {} ({})", name, onnxTypeName(node));
}

using Opsets = std::unordered_map<std::string_view, int>;

inline Opsets opsetsOf(const std::vector<OnnxOpset>& list, const Opsets& fallback = {}) {
  Opsets opsets = fallback;
  for (const OnnxOpset& opset : list) {
    std::string_view domain = canonicalDomain(opset.domain);
    if (opset.version < 1) invalid(fmt::format("opset {} of \"{}\"", opset.version, domain));
    if (domain.empty() && opset.version > kNewestOpset)
      throw Error(ErrorCode::Unsupported, fmt::format("opset {}", opset.version),
                  fmt::format("opset {} or older", kNewestOpset), "export for an older opset");
    opsets[domain] = static_cast<int>(std::min<int64_t>(opset.version, 1 << 20));
  }
  return opsets;
}

// Names in one graph, or in one function's body, and what they stand for.
struct Scope {
  struct Binding {
    Item item = {};
    // Not yet loaded:
    const OnnxTensor* tensor = nullptr;
    const OnnxSparseTensor* sparse = nullptr;
  };
  Scope* outer = nullptr;
  Target* target = nullptr;  // the graph that its tensors are of
  std::unordered_map<std::string_view, Binding> names;
  std::unordered_set<std::string_view> used;  // by any node, within or below, or as an output

  // With the scope that has it.
  std::pair<Binding*, Scope*> find(std::string_view name) {
    for (Scope* scope = this; scope; scope = scope->outer)
      if (auto found = scope->names.find(name); found != scope->names.end())
        return {&found->second, scope};
    return {nullptr, nullptr};
  }
  void define(std::string_view name, Binding binding) {
    if (!names.emplace(name, binding).second)
      invalid(fmt::format("tensor {} is defined twice", name), "each tensor once");
  }
};

inline void collectUsed(const std::vector<OnnxNodeProto>& nodes,
                        std::unordered_set<std::string_view>& used) {
  for (const OnnxNodeProto& node : nodes) {
    used.insert(node.inputs.begin(), node.inputs.end());
    for (const OnnxAttribute& attribute : node.attributes)
      for (const OnnxGraph& graph : attribute.graphs) {
        collectUsed(graph.nodes, used);
        for (const OnnxValueInfo& output : graph.outputs) used.insert(output.name);
      }
  }
}

// What the nodes of a body share beside the scope.
struct Body {
  Opsets opsets;
  std::vector<NamedAttribute> attributes;  // of the function call that the body belongs to
  std::string prefix;                      // of node names
  int depth = 0;
};

}  // namespace carnot::onnx
