#pragma once

#include <carnot/runtime.h>

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace carnot {

// What a layer costs. Flops count a multiply-add as two; bytes are those that must enter or leave
// the layer, each once.
struct LayerReport {
  std::string name;
  std::string operators;             // "Conv+Add+Relu"
  std::string kernel;                // "cpu/conv/direct"
  std::string precision;             // element type that it computes in: "float32"
  std::vector<std::string> origins;  // ONNX nodes
  double milliseconds = 0;           // median of the runs
  double share = 0;                  // of the sum of all layers, 0 to 1
  double flops = 0, bytes = 0;
  double intensity = 0;       // flops per byte
  bool computeBound = false;  // intensity above the machine's balance of arithmetic and memory
};

struct Percentile {
  double percent = 0, milliseconds = 0;
};

struct BenchOptions {
  // Dims by input; those missing are taken from Engine::typicalShapes.
  std::map<std::string, std::vector<int64_t>> shapes = {};
  // Fills an input of these dims; false, or none: made up (fillMadeUp).
  std::function<bool(const TensorInfo& input, const std::vector<int64_t>& dims,
                     std::span<std::byte> contents)>
      fill = {};
  double warmUpSeconds = 0.2;
  int iterations = 10;   // at least
  double seconds = 3;    // at least
  int profileRuns = 10;  // runs with each layer timed; 0: none
  std::vector<double> percentiles = {90, 95, 99};
};

struct BenchReport {
  std::map<std::string, std::vector<int64_t>> inputShapes, outputShapes;
  int threads = 1;
  int iterations = 0;
  double throughput = 0;                                  // runs per second
  double minimum = 0, maximum = 0, mean = 0, median = 0;  // milliseconds of a run
  std::vector<Percentile> percentiles;
  // Of a run's parts, each the minimum and median over the runs, in milliseconds. On the CPU
  // computing is all.
  struct Part {
    double minimum = 0, median = 0;
  };
  Part copyIn, compute, copyOut;
  Context::Memory memory;
  size_t weightBytes = 0;
  double peakFlops = 0, peakBytes = 0;  // per second, measured on this machine with these threads
  std::vector<LayerReport> layers;      // in order of execution
};

// Runs the engine and times it. States start as zeros. Throws what setInputShape and run throw, and
// Error (InvalidArgument) where integers would be made up beside states, whose tables and lengths
// they are.
BenchReport bench(const Engine& engine, const BenchOptions& options = {});

// The engine's layers as JSON in the form of TensorRT's engine inspector: {"Layers": […],
// "Bindings": [names]}. Each layer: its name, or if `detailed` an object with "Name", "LayerType",
// "Inputs" and "Outputs" ({"Name", "Location", "Dimensions", "Format/Datatype"}), "ParameterType",
// "Precision", "TacticName" (the kernel), "TacticValue" (its revision), "Metadata" (ONNX nodes).
std::string layerInformation(const Engine& engine, bool detailed);
// One layer's entry. Throws Error (InvalidArgument) when there is none such.
std::string layerInformation(const Engine& engine, size_t layer, bool detailed);

// Times each layer of a context whose shapes and addresses are set, over some runs.
std::vector<LayerReport> profileLayers(Context& context, int runs);

}  // namespace carnot
