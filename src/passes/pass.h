#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/log.h"
#include "ir/graph.h"
#include "ir/patch.h"
#include "passes/precision.h"

namespace carnot {

// The phases of the compiler that rewrite the graph, in order.
enum class Phase : uint8_t { Normalize, Simplify, Precision, Fuse };
std::string_view phaseName(Phase phase);

struct PassReport {
  std::string_view name;
  int patches = 0;
  double milliseconds = 0;
};

// One rewrite, right before it happens.
struct PatchReport {
  int64_t number;  // from 1; what patchLimit counts
  std::string_view pass, label, reason;
  const Node& node;  // at which the rule proposed it
};

struct PassOptions {
  std::set<std::string, std::less<>> skip;  // names; an unknown one throws Error (InvalidArgument)
  // Only the first this many patches are applied: to bisect. Negative: no limit.
  int64_t patchLimit = -1;
  int64_t patchesBefore = 0;  // applied by earlier phases; limit and numbers count them too
  int64_t foldLimitBytes = int64_t(64) << 20;  // larger results stay unfolded
  PrecisionOptions precision;
  // Products of one tensor become one batched product: pays where each launch costs.
  bool mergeProducts = false;
  Log log;
  std::function<void(const PassReport& report, const Graph& graph)> afterPass;
  std::function<void(const PatchReport& report)> onPatch;  // of those that the limit counts
};

// One rewrite: looks at `node`, changes nothing, proposes a patch or not.
using Rule =
    std::function<std::optional<Patch>(const Graph& graph, Node* node, const PassOptions& options)>;

struct Pass {
  std::string_view name;  // "fold-constants": what --skipPass takes
  Phase phase;
  std::string_view purpose;  // one line, for the list
  Rule rule;                 // tried at every node in order, until a whole round changes nothing
  enum class Role : uint8_t {
    Plain,
    Fusing,  // makes one layer of several: left out where a build is to be without fusion
    // Later phases need what it makes: to skip it throws Error (InvalidArgument), and its patches
    // are neither counted nor limited.
    Required,
  } role = Role::Plain;
  bool required() const { return role == Role::Required; }
};

// Every pass in the order that it runs.
std::span<const Pass> allPasses();
// Throws Error (InvalidArgument) with the nearest name.
const Pass& findPass(std::string_view name);

// Runs the phase's passes, again and again until none changes anything; Simplify repeats those of
// Normalize among its own, and Precision, once it has changed anything, all before it. The graph is
// verified after each. Returns how many patches were applied of those that the limit counts: a
// caller of several phases adds them to patchesBefore.
int64_t runPasses(Graph& graph, Phase phase, const PassOptions& options);
// Runs one pass, whatever `skip` says.
int64_t runPass(Graph& graph, const Pass& pass, const PassOptions& options);

}  // namespace carnot
