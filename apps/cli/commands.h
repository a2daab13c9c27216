#pragma once

#include <carnot/builder.h>
#include <carnot/report.h>

#include <optional>
#include <string>
#include <vector>

namespace carnot::cli {

// An ONNX model with how to build it, or an engine.
struct Source {
  std::string path;
  BuildOptions build;
  // Flags given that only a build heeds: refused beside an engine.
  std::vector<std::string> buildFlags;
  bool verbose = false;
};

struct BuildArguments {
  Source source;
  std::string output;
};

struct BenchArguments {
  Source source;
  BenchOptions options;
  std::string inputFiles;  // "name:file,…": raw or .npy
  size_t top = 10;         // layers in the table
  bool all = false;        // every layer, in order of execution
  bool json = false;
};

struct ExplainArguments {
  Source source;
  std::optional<std::string> layer;
  bool json = false;
};

struct InspectArguments {
  std::string path;
  bool verify = false;
  bool json = false;
};

// Each prints its result on standard output. They throw Error.
void runBuild(const BuildArguments& arguments);
void runBench(const BenchArguments& arguments);
void runExplain(const ExplainArguments& arguments);
void runInspect(const InspectArguments& arguments);
// Becomes the Python program carnot.compare, since onnxruntime is there. Throws UsageError when no
// Python has what it needs.
void runCompare(const std::vector<std::string>& words);

}  // namespace carnot::cli
