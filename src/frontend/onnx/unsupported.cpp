#include "frontend/onnx/unsupported.h"

#include <carnot/names.h>

#include <map>
#include <set>

#include "base/error.h"
#include "frontend/onnx/sequences.h"
#include "ops/onnx_mappings.h"

namespace carnot {

namespace {

bool isStandard(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

// What is known of a type that cannot be imported.
std::string explain(const OnnxNodeProto& node, int opset) {
  if (node.domain == "com.microsoft.nchwc")
    return "optimized by onnxruntime for one machine; save with ORT_ENABLE_EXTENDED at most";
  std::vector<std::string> all = supportedOnnxTypes(node.domain);
  for (const std::string& type : all)
    if (type == node.type) {
      for (int other = opset; other < opset + 40; ++other)
        if (findOnnxMapping(node.domain, node.type, other))
          return fmt::format("supported from opset {}, the model has {}", other, opset);
      return fmt::format("supported in opsets before {}", opset);
    }
  std::string near = closest(node.type, all);
  return near.empty() ? std::string() : fmt::format("near: {}", near);
}

class Survey {
 public:
  // `call`: the outermost node that led here; -1: these are the outermost.
  void visit(const std::vector<OnnxNodeProto>& nodes, const OnnxLookup& lookup, int call = -1) {
    for (size_t i = 0; i < nodes.size(); ++i) {
      const OnnxNodeProto& node = nodes[i];
      int index = call < 0 ? static_cast<int>(i) : call;
      if (const OnnxFunction* function = lookup.function(node)) {
        if (seen_.insert(function).second) visit(function->nodes, lookup.inside(*function), index);
        continue;
      }
      if (isImportedItself(node)) continue;
      int opset = lookup.opset(node.domain);
      if (findOnnxMapping(node.domain, node.type, opset)) continue;
      std::string_view name =
          node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name;
      found.push_back({index, std::string(name), onnxTypeName(node), explain(node, opset)});
    }
  }

  std::vector<UnsupportedNode> found;

 private:
  std::set<const OnnxFunction*> seen_;
};

}  // namespace

std::string onnxTypeName(const OnnxNodeProto& node) {
  return isStandard(node.domain) ? std::string(node.type)
                                 : fmt::format("{}.{}", node.domain, node.type);
}

bool isImportedItself(const OnnxNodeProto& node) {
  const bool hasBodies =
      node.type == "If" || node.type == "Loop" || node.type == "Scan" || node.type == "SequenceMap";
  return isStandard(node.domain) && (hasBodies || onnx::isSequenceNode(node));
}

std::vector<UnsupportedNode> unsupportedNodes(const std::vector<OnnxNodeProto>& nodes,
                                              const OnnxLookup& lookup) {
  Survey survey;
  survey.visit(nodes, lookup);
  return std::move(survey.found);
}

void requireSupported(const std::vector<OnnxNodeProto>& nodes, const OnnxLookup& lookup) {
  std::map<std::string, const UnsupportedNode*> first;  // of each type
  std::vector<UnsupportedNode> found = unsupportedNodes(nodes, lookup);
  for (const UnsupportedNode& node : found) first.try_emplace(node.type, &node);
  if (first.empty()) return;
  std::string list, hints;
  for (const auto& [type, node] : first) {
    list += (list.empty() ? "" : ", ") + type;
    if (!node->name.empty()) list += fmt::format(" (node {})", node->name);
    if (!node->hint.empty())
      hints += fmt::format("{}{} ({})", hints.empty() ? "" : ", ", type, node->hint);
  }
  throw Error(
      ErrorCode::Unsupported,
      fmt::format("{} not supported: {}",
                  first.size() == 1 ? "an operator type that is" : "operator types that are", list),
      fmt::format("types among the {} supported ones{}", supportedOnnxTypes("").size(),
                  hints.empty() ? "" : "; " + hints));
}

}  // namespace carnot
