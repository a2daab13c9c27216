#include "frontend/onnx/import.h"

#include <algorithm>
#include <optional>

#include "frontend/onnx/importer.h"
#include "frontend/onnx/proto.h"

namespace carnot {

using namespace onnx;  // NOLINT: the importer's own

namespace {

constexpr int kMostChoices = 64;

Graph importAny(const OnnxModel& model, const ImportOptions& options) {
  BranchChoices choices;
  std::optional<Error> first;
  for (int tries = 0;; ++tries) {
    try {
      return Importer(model, options, choices).run();
    } catch (const Error& error) {
      if (!first) first = error;
      const bool isModels =
          error.code() == ErrorCode::InvalidModel || error.code() == ErrorCode::Unsupported;
      if (!isModels || tries == kMostChoices || !choices.revise()) throw *first;
    }
  }
}

}  // namespace

Graph importOnnx(const OnnxModel& model, const ImportOptions& options) {
  return inFrame([&] { return model.source; }, [&] { return importAny(model, options); });
}

std::vector<OnnxIssue> checkOnnx(const OnnxModel& model, const ImportOptions& options) {
  std::vector<OnnxIssue> issues;
  try {
    BranchChoices none;
    for (UnsupportedNode& node : Importer(model, options, none).unsupported()) {
      Error error(ErrorCode::Unsupported, fmt::format("operator {}", node.type),
                  "a supported one" + (node.hint.empty() ? "" : "; " + node.hint));
      issues.push_back({std::move(error), node.index, std::move(node.name), std::move(node.type)});
    }
    if (issues.empty()) importAny(model, options);
  } catch (Error& error) {
    OnnxIssue issue{error, -1, {}, {}};
    const std::vector<OnnxNodeProto>& nodes = model.graph.nodes;
    for (size_t i = 0; i < nodes.size() && issue.nodeIndex < 0; ++i) {
      std::string name = nodeName(nodes[i], i);
      if (std::ranges::find(error.context(), nodeFrame(nodes[i], name)) == error.context().end())
        continue;
      issue.nodeIndex = static_cast<int>(i);
      issue.node = std::move(name);
      issue.operatorType = onnxTypeName(nodes[i]);
    }
    issues.push_back(std::move(issue));
  }
  return issues;
}

}  // namespace carnot
