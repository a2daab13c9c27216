#include "passes/pass.h"

#include <carnot/names.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "base/error.h"
#include "ir/verify.h"

namespace carnot {

namespace {

constexpr int kMaxSweeps = 20;
// A pass that applies more than this many patches a node goes in circles.
constexpr int64_t kMaxPatchesPerNode = 20;

class Runner {
 public:
  Runner(Graph& graph, const PassOptions& options) : graph_(graph), options_(options) {}

  // Those that the limit counts.
  int64_t counted() const { return counted_; }

  // Gives the number of patches.
  int64_t run(const Pass& pass) {
    patches_ = 0;
    const auto start = std::chrono::steady_clock::now();
    try {
      const int64_t limit = kMaxPatchesPerNode * (static_cast<int64_t>(graph_.nodes().size()) + 10);
      while (round(pass))
        if (patches_ > limit) throwInternal("the pass does not come to rest");
      if (patches_ > 0) {
        graph_.eraseUnusedValues();
        verify(graph_);
      }
    } catch (Error& error) {
      error.within(fmt::format("pass {}", pass.name));
      throw;
    }
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    PassReport report{pass.name, static_cast<int>(patches_), spent.count()};
    options_.log.verbose(fmt::format("pass {}: {} patches in {:.1f} ms, {} nodes", report.name,
                                     report.patches, report.milliseconds, graph_.nodes().size()));
    if (options_.afterPass) options_.afterPass(report, graph_);
    return patches_;
  }

 private:
  bool limited(const Pass& pass) const {
    return !pass.required() && options_.patchLimit >= 0 &&
           options_.patchesBefore + counted_ >= options_.patchLimit;
  }

  // Tries the rule at every node once; false when nothing changed.
  bool round(const Pass& pass) {
    bool changed = false;
    std::unordered_set<const Node*> erased;
    for (Node* node : graph_.nodeList()) {
      if (limited(pass)) return false;
      if (erased.contains(node)) continue;
      std::optional<Patch> patch = pass.rule(graph_, node, options_);
      if (!patch || !patch->applicable(graph_)) continue;
      ++patches_;
      if (!pass.required()) ++counted_;
      tell(pass, *patch, *node);
      std::vector<const Node*> gone = patch->apply(graph_);
      erased.insert(gone.begin(), gone.end());
      changed = true;
    }
    return changed;
  }

  void tell(const Pass& pass, const Patch& patch, const Node& node) const {
    const int64_t number = options_.patchesBefore + counted_;
    if (options_.log.enabled(Severity::Verbose))
      options_.log.verbose(fmt::format(
          "patch {}: {} at {}{}{}", pass.required() ? "(required)" : fmt::to_string(number),
          patch.label(), node.name, patch.reason().empty() ? "" : ": ", patch.reason()));
    if (options_.onPatch && !pass.required())
      options_.onPatch({number, pass.name, patch.label(), patch.reason(), node});
  }

  Graph& graph_;
  const PassOptions& options_;
  int64_t patches_ = 0;  // of the pass that runs
  int64_t counted_ = 0;  // of all passes
};

void checkSkips(const PassOptions& options) {
  for (const std::string& name : options.skip)
    if (findPass(name).required())
      throw Error(ErrorCode::InvalidArgument, fmt::format("pass {} to be skipped", name),
                  "it, since later phases take what it makes", "leave it on");
}

}  // namespace

std::string_view phaseName(Phase phase) {
  constexpr std::string_view kNames[] = {"normalize", "simplify", "precision", "fuse"};
  return kNames[static_cast<size_t>(phase)];
}

const Pass& findPass(std::string_view name) {
  std::vector<std::string> names;
  for (const Pass& pass : allPasses()) {
    if (pass.name == name) return pass;
    names.emplace_back(pass.name);
  }
  std::string near = closest(name, names);
  throw Error(ErrorCode::InvalidArgument, fmt::format("pass \"{}\"", name), "the name of a pass",
              near.empty() ? "" : fmt::format("did you mean {}?", near));
}

int64_t runPass(Graph& graph, const Pass& pass, const PassOptions& options) {
  Runner runner(graph, options);
  return runner.run(pass);
}

int64_t runPasses(Graph& graph, Phase phase, const PassOptions& options) {
  checkSkips(options);
  Runner runner(graph, options);
  auto included = [&](const Pass& pass) {
    if (options.skip.contains(pass.name)) return false;
    if (pass.phase == phase) return true;
    return pass.phase < phase &&
           (phase == Phase::Simplify || (phase == Phase::Precision && runner.counted() > 0));
  };
  int64_t changes = 1;
  for (int sweep = 0; changes > 0; ++sweep) {
    if (sweep == kMaxSweeps)
      throwInternal(fmt::format("the passes of {} do not come to rest", phaseName(phase)));
    changes = 0;
    for (const Pass& pass : allPasses())
      if (included(pass)) changes += runner.run(pass);
  }
  return runner.counted();
}

}  // namespace carnot
