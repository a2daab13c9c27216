#pragma once

#include <carnot/engine.h>
#include <carnot/log.h>
#include <carnot/precision.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

// Shapes by the name of an input or state. An engine is tuned at opt and refuses shapes outside
// every profile.
struct Profile {
  std::map<std::string, ShapeRange> inputs;
};

// A rewrite of the graph that a pass applied.
struct AppliedPatch {
  int64_t number = 0;  // from 1, in order
  std::string_view pass, label, reason;
  std::string_view node;                 // of the graph, at which the pass proposed it
  std::span<const std::string> origins;  // the ONNX nodes that this came from
};

struct BuildOptions {
  // None: dimension 0 is tuned at 1, other dynamic ones at 128, and every shape runs.
  std::vector<Profile> profiles;
  int threads = 0;  // 0: CARNOT_THREADS if set, else the cores allowed
  // The kind that the engine is for: "cpu", "cuda"; empty: CARNOT_DEVICE if set, else "cpu". Throws
  // Error (Unsupported), with the reason, when there is none such here.
  std::string device;
  std::string isa = "native";  // of a CPU: "portable", "avx2", "avx512", or names joined by '+'
  int optimizationLevel = 3;   // 0: no timing, estimates decide … 5: every candidate is timed
  double budgetSeconds = -1;   // for timing kernels; negative: no limit
  // JSON file that keeps measurements between builds; empty: the user's cache folder; "none":
  // nothing is kept. With the same cache the engine is the same to the byte.
  std::string timingCache;
  // Such JSON in the caller's hands, in place of a file: read first (empty: none), then replaced by
  // what is known after the build.
  std::string* timings = nullptr;
  // Float types that layers of float32 may compute in. A permission: where kernels of the device
  // compute in one (float16 first), layers do that are safe in it; the log (Info) says how many,
  // and which stay and why.
  std::set<DType> permits;
  // By ONNX node, or by a Network's layer, beside `permits`: what is asked of single layers.
  std::map<std::string, LayerPrecision> layerPrecisions;
  PrecisionConstraints precisionConstraints = PrecisionConstraints::None;
  // Whether products of float32 may round their operands to TF32 (10 bits of mantissa), where the
  // device has it. Results then agree to about 2e-3; without it to about 1e-4.
  bool tf32 = true;
  // Whether half and TF32 are for every layer that they are safe in. Otherwise convolutions that
  // gain nothing by tensor cores, or whose errors a long chain behind them may amplify, keep
  // float32.
  bool roundAll = false;
  // The most scratch memory that a layer's kernel may ask for at the shapes tuned; 0: no limit.
  // Kernels that need more are refused with that reason.
  size_t workspaceBytes = 0;

  // For looking into the builder. Phases are listed by buildPhases, passes named in its log.
  std::string dumpIr;                   // folder for the graph's text after each phase
  std::string stopAfter;                // a phase: the build ends there, without an engine
  std::vector<std::string> skipPasses;  // "fuse-windows"
  // Whether layers may be made of several of the model's nodes. Without, every node is a layer and
  // writes its tensor to memory, as a framework runs it: to measure what fusion gains.
  bool fusion = true;
  // Names or prefixes: "cpu/conv"; "cpu/conv@node": only in layers made of that ONNX node.
  std::vector<std::string> withoutKernels;
  int64_t patchLimit = -1;  // only the passes' first this many rewrites; negative: all
  std::function<void(const AppliedPatch&)> onPatch;  // hears of each, right before it is applied

  LogSink log;
  Severity logLevel = Severity::Warning;
  // Called between units of work: `done` of `all` within a phase.
  std::function<void(std::string_view phase, size_t done, size_t all)> progress;
  // Looked at between units of work: when true the build throws Error (Interrupted).
  const std::atomic<bool>* cancelled = nullptr;
};

// Builds an engine from an ONNX file or its bytes. External data is read from the file's folder, or
// from `folder` beside bytes. Gives an empty Engine when stopAfter ended the build. Throws Error:
// Io; InvalidModel, Unsupported (naming file and node); InvalidArgument for options; Interrupted.
Engine build(const std::string& path, const BuildOptions& options = {});
Engine build(std::span<const std::byte> model, const BuildOptions& options = {},
             const std::string& folder = {});

// Two timing caches as one; where both know a time, `first` prevails. Throws Error (InvalidModel)
// for text that is no timing cache.
std::string mergeTimings(std::string_view first, std::string_view second);

// The phases of a build in order: "import", …, "emit".
std::vector<std::string> buildPhases();

}  // namespace carnot
