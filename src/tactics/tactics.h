#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "ir/graph.h"
#include "kernels/kernel.h"

namespace carnot {

class TimingCache;

// Values of the symbols that something is tuned at.
using ShapePoint = std::map<std::string, int64_t>;

// One kernel with one configuration, as a candidate for a node.
struct Candidate {
  const Kernel* kernel = nullptr;
  Configuration configuration;
  double estimate = 0;  // seconds, by the cost model, at the first point
  struct Time {
    double seconds = 0;
    bool measured = false;  // else the estimate, scaled by what was measured beside it
  };
  std::vector<Time> times;  // one for each point
  double secondsAt(size_t point) const {
    return point < times.size() ? times[point].seconds : estimate;
  }
};

struct RefusedKernel {
  std::string_view kernel;
  std::string reason;
};

// What was decided for one region node.
struct Tactic {
  std::shared_ptr<const Problem> problem;
  std::vector<Candidate> candidates;  // in the order of timing: the best of each layout first
  std::vector<RefusedKernel> refusals;
  std::string withoutTf32;       // why its products may not round, though others may; or empty
  size_t chosen = 0;             // at the first point
  std::vector<size_t> chosenAt;  // for each point; all of the layouts of `chosen`
};

struct TacticOptions {
  DeviceTraits device;
  std::vector<ShapePoint> points;  // the first one decides layouts; at least one
  int level = 3;                   // 0: cost model only … 5: every candidate timed
  double budgetSeconds = -1;       // for timing; negative: none
  TimingCache* cache = nullptr;
  // Names, or folders of names, left out: to bisect; "name@node": of that ONNX node's layers.
  std::vector<std::string> withoutKernels;
  size_t workspaceBytes = 0;  // the most scratch that a kernel may use at the points; 0: no limit
  bool tf32 = false;          // products of float32 may round their operands to TF32
  bool bf16 = false;          // a CPU's, to bfloat16
  std::set<std::string, std::less<>> fullNodes;  // ONNX nodes whose products round to neither
  // Layers of these ONNX nodes may not, and why.
  std::map<std::string, std::string, std::less<>> withoutTf32 = {};
  Log log;
  std::function<void(size_t done, size_t all)> progress;
  const std::atomic<bool>* cancelled = nullptr;  // checked between timings: Error (Interrupted)
};

using TacticMap = std::unordered_map<const Node*, Tactic>;

// Why the node's products keep float32 although TF32 is allowed; empty: they need not.
std::string whyWithoutTf32(const Node& node, const TacticOptions& options);
Problem problemOf(const Node& node, const TacticOptions& options);
// What the problem's arithmetic is of: the type that its anchor reads, else that it writes.
DType precisionOf(const Problem& problem);
ConcreteShapes shapesAt(const Problem& problem, const ShapePoint& point);

// The most scratch (Executable::workspaceBytes) that a kernel may ask for: four times what the
// problem's tensors take, and 8 MiB a thread, or 64 MiB on a GPU.
size_t workspaceBound(const Problem& problem, const ConcreteShapes& shapes);

// Kernels that take the problem, those that refuse, and why. The reference only when alone.
Tactic gatherCandidates(const Node& node, const TacticOptions& options);

// Replaces regions that only the reference would take by chains of smaller ones, then gathers the
// candidates of every region node.
TacticMap gatherAll(Graph& graph, const TacticOptions& options);

// Fills Candidate::times; equal problems are timed once.
void timeCandidates(TacticMap& tactics, const Graph& graph, const TacticOptions& options);

// Sets Tactic::chosen and Value::layout, inserts Reformat nodes (with tactics of their own): every
// region node has a tactic afterwards.
void chooseLayouts(Graph& graph, TacticMap& tactics, const TacticOptions& options);

}  // namespace carnot
