#include "frontend/onnx/unsupported.h"

#include <carnot/names.h>

#include <map>
#include <set>

#include "base/error.h"
#include "ops/onnx_mappings.h"

namespace carnot {

namespace {

bool isStandard(std::string_view domain) { return domain.empty() || domain == "ai.onnx"; }

// What is known of a type that cannot be imported.
std::string explain(const OnnxNodeProto& node, int opset) {
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
  void visit(const std::vector<OnnxNodeProto>& nodes, const OnnxLookup& lookup) {
    for (const OnnxNodeProto& node : nodes) {
      if (const OnnxFunction* function = lookup.function(node)) {
        if (seen_.insert(function).second) visit(function->nodes, lookup.inside(*function));
        continue;
      }
      if (isImportedControlFlow(node)) continue;
      int opset = lookup.opset(node.domain);
      if (findOnnxMapping(node.domain, node.type, opset)) continue;
      std::string name = onnxTypeName(node);
      if (found_.contains(name)) continue;
      std::string text = name;
      std::string node_ =
          std::string(node.name.empty() && !node.outputs.empty() ? node.outputs[0] : node.name);
      if (!node_.empty()) text += fmt::format(" (node {})", node_);
      found_.emplace(name, text);
      if (std::string known = explain(node, opset); !known.empty())
        hints_ += fmt::format("{}{} ({})", hints_.empty() ? "" : ", ", name, known);
    }
  }

  void report() const {
    if (found_.empty()) return;
    std::string list;
    for (const auto& [name, text] : found_) list += (list.empty() ? "" : ", ") + text;
    throw Error(ErrorCode::Unsupported,
                fmt::format("{} that {} not supported: {}",
                            found_.size() == 1 ? "an operator type" : "operator types",
                            found_.size() == 1 ? "is" : "are", list),
                fmt::format("types among the {} supported ones{}", supportedOnnxTypes("").size(),
                            hints_.empty() ? "" : "; " + hints_));
  }

 private:
  std::set<const OnnxFunction*> seen_;
  std::map<std::string, std::string> found_;
  std::string hints_;
};

}  // namespace

std::string onnxTypeName(const OnnxNodeProto& node) {
  return isStandard(node.domain) ? std::string(node.type)
                                 : fmt::format("{}.{}", node.domain, node.type);
}

bool isImportedControlFlow(const OnnxNodeProto& node) {
  return isStandard(node.domain) && node.type == "If";
}

void requireSupported(const std::vector<OnnxNodeProto>& nodes, const OnnxLookup& lookup) {
  Survey survey;
  survey.visit(nodes, lookup);
  survey.report();
}

}  // namespace carnot
