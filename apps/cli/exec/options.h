#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <carnot/precision.h>

#include "cli/shapes.h"

namespace carnot::cli::exec {

// One optimization profile as written: names may hold one '*'.
struct ProfileSpec {
  Shapes min, opt, max;
  bool empty() const { return min.empty() && opt.empty() && max.empty(); }
};

enum class Verbosity { LayerNamesOnly, Detailed, None };

// A switch with a flag for each side.
enum class Choice { Default, On, Off };

struct ModelOptions {
  std::string onnx;
};

// How far an output is from its reference, over all elements; 0: equal.
enum class Accuracy {
  L0,    // share of the elements further than atol + rtol |reference|
  L1,    // mean absolute error
  L2,    // mean squared error
  LInf,  // greatest absolute error
  Cos,   // 1 - cosine similarity
};

// Inputs and what the outputs must be for them: files by name.
struct ReferencePair {
  std::map<std::string, std::string> inputs, outputs;
};

struct BuildFlags {
  std::vector<ProfileSpec> profiles;
  bool fp16 = false, bf16 = false, best = false, stronglyTyped = false, noTf32 = false;
  bool roundAll = false;
  PrecisionConstraints constraints = PrecisionConstraints::None;
  std::map<std::string, DType> layerPrecisions, layerOutputTypes;  // names may hold one '*'
  std::optional<double> workspaceMiB;
  int optimizationLevel = 3;
  std::string timingCacheFile;
  bool noBuilderCache = false, errorOnCacheMiss = false;
  bool fusion = true;
  std::vector<std::string> withoutKernels;  // of a GPU
  std::vector<std::string> debugTensors;    // kept as outputs
  Verbosity verbosity = Verbosity::LayerNamesOnly;
  std::string inputFormats, outputFormats;
  bool skipInference = false;
  std::string saveEngine, loadEngine;
  bool planVersionOnly = false;
};

struct InferenceFlags {
  Shapes shapes;  // names may hold one '*'
  // Of --loadInputs and --loadRefOutputs after each --refPair; the first is what is timed.
  std::vector<ReferencePair> pairs = {{}};
  Accuracy accuracy = Accuracy::L0;
  std::optional<double> accuracyThreshold;
  double atol = 1e-5, rtol = 1e-5;
  int iterations = 10;
  double warmUpMilliseconds = 200;
  double durationSeconds = 3;  // negative: until interrupted
  double sleepMilliseconds = 0, idleMilliseconds = 0;
  std::optional<int> streams;
  Choice transfers = Choice::Default, cudaGraph = Choice::Default, spinWait = Choice::Default;
  bool exposeDma = false;  // no copy beside another copy or a run
  bool threads = false, separateProfileRun = false, timeDeserialize = false;
  std::optional<int> profile;

  bool forever() const { return durationSeconds < 0; }
  bool copies() const { return transfers != Choice::Off; }
  const std::map<std::string, std::string>& inputFiles() const { return pairs.front().inputs; }
};

struct ReportFlags {
  bool verbose = false;
  int averageRuns = 10;
  std::vector<double> percentiles = {90, 95, 99};
  bool dumpProfile = false, dumpOutput = false, dumpLayerInfo = false, dumpBindings = false;
  bool dumpOptimizationProfile = false, monitorMemory = false;
  std::map<std::string, std::string> debugFiles;  // by tensor
  std::vector<std::string> debugFormats;          // of files for all tensors that layers write
  std::string exportTimes, exportOutput, exportProfile, exportLayerInfo;

  bool debugs() const { return !debugFiles.empty() || !debugFormats.empty(); }
  bool profiles() const { return dumpProfile || !exportProfile.empty(); }
};

// What a command line of trtexec's dialect asks for.
struct Options {
  ModelOptions model;
  BuildFlags build;
  InferenceFlags inference;
  ReportFlags report;
  bool help = false, version = false;
  // Flags that were given: by name, each once, in order.
  std::vector<std::string> given;

  bool has(const std::string& flag) const;
};

}  // namespace carnot::cli::exec
