#pragma once

#include <carnot/error.h>

#include <map>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/shape.h"
#include "frontend/onnx/model.h"
#include "ir/graph.h"

namespace carnot {

struct ImportOptions {
  // Shapes of inputs by name, in place of those in the model: to fix dynamic dims, or where the
  // model has no shape. A named dim that is fixed for one input is fixed wherever it appears.
  std::map<std::string, Shape> inputShapes;
  // Dims of inputs by name that the engine is built for. Where branches of an If give tensors of
  // different ranks and dims decide between them, the one that these take is imported.
  std::map<std::string, std::vector<int64_t>> usualShapes;
  Log log;
};

// Builds the graph of a model: inputs, outputs in its order and under its names, initializers as
// constants, nodes with their types and the ONNX nodes that they came from. Model functions, and
// branches of an If whose condition is constant, are inlined; shape arithmetic on constants is
// carried out. Of an If whose branches differ in rank, one is taken if dims decide, and a guard
// holds them to it. Throws Error within the frames source, node: InvalidModel, or Unsupported with
// every operator type that is not supported.
Graph importOnnx(const OnnxModel& model, const ImportOptions& options = {});

// What keeps a model from being imported.
struct OnnxIssue {
  Error error;
  int nodeIndex = -1;  // in the model's list; -1: not one node's
  std::string node, operatorType;
};
// Every node of an unsupported type; if there are none, the first thing that importOnnx finds.
std::vector<OnnxIssue> checkOnnx(const OnnxModel& model, const ImportOptions& options = {});

}  // namespace carnot
