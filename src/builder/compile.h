#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "devices/device.h"
#include "engine/engine.h"
#include "ir/graph.h"
#include "passes/pass.h"

namespace carnot {

// Shapes of every dynamic input that one profile tunes for and enforces.
struct ProfileShapes {
  struct Input {
    std::vector<int64_t> min, opt, max;
  };
  std::map<std::string, Input> inputs;
};

struct CompileOptions {
  DeviceTraits device;
  std::vector<ProfileShapes> profiles;  // none: dimension 0 is tuned at 1, others at 128
  int optimizationLevel = 3;            // 0: no timing … 5: every candidate timed
  double budgetSeconds = -1;            // for timing kernels; negative: none
  std::string timingCache;              // path; empty: kept in memory for this build only
  std::string* timings = nullptr;       // JSON in the caller's hands: read, then replaced
  std::set<DType> permits;              // float types that layers of float32 may compute in
  std::map<std::string, LayerPrecision> layerPrecisions;  // by ONNX node or node of the graph
  PrecisionConstraints precisionConstraints = PrecisionConstraints::None;
  bool tf32 = true;           // products of float32 may round their operands to TF32
  bool roundAll = false;      // else sensitive layers keep float32 where others may be rounded
  size_t workspaceBytes = 0;  // the most scratch that a kernel may use; 0: no limit
  PassOptions passes;
  std::vector<std::string> withoutKernels;
  std::string stopAfter;  // a phase's name; empty: all of them
  std::string producer = "carnot";
  // Sees the graph after each phase ("fuse") and each pass ("simplify/fold-constants").
  std::function<void(std::string_view phase, const Graph& graph)> onGraph;
  std::function<void(std::string_view phase, size_t done, size_t all)> progress;
  const std::atomic<bool>* cancelled = nullptr;
  Log log;
};

// The phases in order, for help texts and for checking stopAfter.
std::span<const std::string_view> compilePhases();

// Compiles a graph, whose import was the first phase, to an engine; nullopt when stopped before the
// last phase. Throws Error.
std::optional<EngineData> compile(Graph graph, const CompileOptions& options);

}  // namespace carnot
