#pragma once

#include <atomic>
#include <span>
#include <string>
#include <vector>

#include "cli/exec/bindings.h"

namespace carnot::cli::exec {

// When the parts of one inference began and ended, in milliseconds since measuring began. Parts
// left out take no time. The call that enqueues waits; what it computes is timed by the device.
struct Query {
  double startH2d = 0, endH2d = 0;
  double startEnqueue = 0, endEnqueue = 0;
  double startCompute = 0, endCompute = 0;
  double startD2h = 0, endD2h = 0;

  double h2d() const { return endH2d - startH2d; }
  double enqueue() const { return endEnqueue - startEnqueue; }
  double compute() const { return endCompute - startCompute; }
  double d2h() const { return endD2h - startD2h; }
  double latency() const { return h2d() + compute() + d2h(); }
};

struct Trace {
  std::vector<Query> queries;  // in order of their start
  double wallMilliseconds = 0;
  size_t warmUpQueries = 0;
  double warmUpMilliseconds = 0;
};

// Milliseconds of each layer in each inference of the first stream.
struct LayerTimes {
  std::vector<std::string> names;
  std::vector<std::vector<double>> times;  // by layer, then run
  size_t runs = 0;
};

// Runs inferences on the streams, in turn or each on its thread, for as long as the flags say or
// until `stop`. With `layers`, times those of the first stream.
Trace runInference(std::span<Bindings> streams, const InferenceFlags& flags,
                   const std::atomic<bool>& stop, LayerTimes* layers);

}  // namespace carnot::cli::exec
