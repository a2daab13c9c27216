#include "frontend/onnx/import.h"

#include <algorithm>

#include "frontend/onnx/importer.h"
#include "frontend/onnx/proto.h"

namespace carnot {

using namespace onnx;  // NOLINT: the importer's own

Graph importOnnx(const OnnxModel& model, const ImportOptions& options) {
  return inFrame([&] { return model.source; }, [&] { return Importer(model, options).run(); });
}

std::vector<OnnxIssue> checkOnnx(const OnnxModel& model, const ImportOptions& options) {
  std::vector<OnnxIssue> issues;
  try {
    for (UnsupportedNode& node : Importer(model, options).unsupported()) {
      Error error(ErrorCode::Unsupported, fmt::format("operator {}", node.type),
                  "a supported one" + (node.hint.empty() ? "" : "; " + node.hint));
      issues.push_back({std::move(error), node.index, std::move(node.name), std::move(node.type)});
    }
    if (issues.empty()) Importer(model, options).run();
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
