#include "ops/onnx_mappings.h"
#include "ops/onnx_node.h"

namespace carnot {

namespace {

void importIdentity(OnnxNode& node) { node.setOutput(0, node.requireInput(0)); }

}  // namespace

std::span<const OnnxMapping> onnxAliases() {
  static const OnnxMapping kRows[] = {
      {"", "Identity", 1, 0, importIdentity},
  };
  return kRows;
}

}  // namespace carnot
