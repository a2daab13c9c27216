#include "builder/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "base/error.h"
#include "builder/precision.h"
#include "builder/profiles.h"
#include "ir/verify.h"
#include "plan/emit.h"
#include "tactics/timing_cache.h"

namespace carnot {

namespace {

constexpr std::string_view kPhases[] = {"import",    "infer", "normalize",  "simplify",
                                        "precision", "fuse",  "candidates", "tune",
                                        "layout",    "plan",  "emit"};

// Everything that the phases hand on to each other, of one graph.
struct State {
  Graph& graph;
  const CompileOptions& options;
  int64_t patches = 0;                                         // applied so far
  std::map<const Graph*, std::unique_ptr<State>> bodies = {};  // of its nodes, in their order
  PrecisionPlan precision = {};  // of the outermost graph; bodies keep the types that they have
  std::vector<EngineSymbol> symbols = {};
  std::vector<EngineProfile> profiles = {};
  TacticOptions tacticOptions = {};
  TacticMap tactics = {};
  std::optional<EngineData> engine = {};
};

// The bodies of the nodes that are left, and theirs.
template <typename Do>
void forBodies(State& state, Do act) {
  for (const auto& node : state.graph.nodes())
    for (const std::shared_ptr<Graph>& body : node->bodies) {
      std::unique_ptr<State>& inner = state.bodies[body.get()];
      if (!inner) inner.reset(new State{.graph = *body, .options = state.options});
      act(*inner);
    }
}

void inferTypes(State& state) {
  state.graph.inferAll();
  forBodies(state, inferTypes);
}

void rewrite(State& state, Phase phase) {
  PassOptions options = state.options.passes;
  options.precision = state.precision.passes;
  options.mergeProducts = state.options.device.multiprocessors > 0;
  options.afterPass = [&](const PassReport& report, const Graph& graph) {
    if (state.options.passes.afterPass) state.options.passes.afterPass(report, graph);
    if (state.options.onGraph && report.patches > 0)
      state.options.onGraph(fmt::format("{}/{}", phaseName(phase), report.name), graph);
  };
  options.patchesBefore = state.patches;
  state.patches += runPasses(state.graph, phase, options);
  forBodies(state, [&](State& body) {
    body.patches = state.patches;
    rewrite(body, phase);
    state.patches = body.patches;
  });
}

// `around`: the tuning points of the network that this one is a body of.
void gather(State& state, std::span<const ProfileShapes> profiles,
            std::span<const ShapePoint> around = {}) {
  const CompileOptions& options = state.options;
  state.symbols = symbolsOf(state.graph);
  state.profiles = resolveProfiles(state.graph, state.symbols, profiles);
  TacticOptions& tactic = state.tacticOptions;
  tactic.device = options.device;
  tactic.points = tuningPoints(state.graph, state.symbols, state.profiles);
  if (!around.empty()) tactic.points = pointsWithin(state.graph, tactic.points.front(), around);
  tactic.level = options.optimizationLevel;
  tactic.budgetSeconds = options.budgetSeconds;
  tactic.withoutKernels = options.withoutKernels;
  tactic.tf32 = options.tf32;
  tactic.bf16 = options.permits.contains(DType::BF16);
  for (const auto& [origin, asked] : state.precision.requested.layers)
    if (asked.compute == DType::F32) tactic.fullNodes.insert(origin);
  tactic.withoutTf32 = state.precision.withoutTf32;
  tactic.workspaceBytes = options.workspaceBytes;
  tactic.log = options.log;
  tactic.cancelled = options.cancelled;
  if (options.progress)
    tactic.progress = [&options](size_t done, size_t all) { options.progress("tune", done, all); };
  state.tactics = gatherAll(state.graph, tactic);
  // What enters a body has the shapes that the network around it gives.
  forBodies(state, [&](State& body) { gather(body, {}, tactic.points); });
}

void timeAll(State& state, TimingCache& cache) {
  state.tacticOptions.cache = &cache;
  timeCandidates(state.tactics, state.graph, state.tacticOptions);
  forBodies(state, [&](State& body) { timeAll(body, cache); });
}

void layOut(State& state) {
  chooseLayouts(state.graph, state.tactics, state.tacticOptions);
  forBodies(state, layOut);
}

void tune(State& state) {
  TimingCache cache(state.options.device.fingerprint());
  std::string* timings = state.options.timings;
  if (timings && !timings->empty()) cache.parse(*timings, "given");
  if (!state.options.timingCache.empty()) cache.load(state.options.timingCache);
  timeAll(state, cache);
  if (!state.options.timingCache.empty() && cache.changed()) cache.save(state.options.timingCache);
  if (timings) *timings = cache.toJson();
}

EmitOptions emitOptions(const State& state) {
  return {state.options.device, state.tacticOptions.points, state.profiles, state.options.producer,
          [&state](const Graph& graph, WeightTable& weights) {
            const State& body = *state.bodies.at(&graph);
            return emitBody(graph, body.tactics, emitOptions(body), weights);
          }};
}

void plan(State& state) {
  state.engine = emitEngine(state.graph, state.tactics, emitOptions(state));
}

void verifyAll(State& state) {
  verify(state.graph);
  forBodies(state, verifyAll);
}

// The pipeline. "import" came before.
struct PhaseStep {
  std::string_view name;
  void (*run)(State& state);
};
constexpr PhaseStep kPipeline[] = {
    {"infer", inferTypes},
    {"normalize", [](State& s) { rewrite(s, Phase::Normalize); }},
    {"simplify", [](State& s) { rewrite(s, Phase::Simplify); }},
    {"precision",
     [](State& s) {
       planSensitive(s.graph, s.options, s.precision);
       rewrite(s, Phase::Precision);
       settlePrecision(s.graph, s.precision, s.options);
     }},
    {"fuse", [](State& s) { rewrite(s, Phase::Fuse); }},
    {"candidates", [](State& s) { gather(s, s.options.profiles); }},
    {"tune", tune},
    {"layout", layOut},
    {"plan", plan},
    {"emit", [](State& s) { validateEngine(*s.engine); }},
};

}  // namespace

std::span<const std::string_view> compilePhases() { return kPhases; }

std::optional<EngineData> compile(Graph graph, const CompileOptions& options) {
  const std::string& stop = options.stopAfter;
  if (!stop.empty() &&
      std::find(std::begin(kPhases), std::end(kPhases), stop) == std::end(kPhases)) {
    std::vector<std::string> names(std::begin(kPhases), std::end(kPhases));
    throw Error(ErrorCode::InvalidArgument, fmt::format("a phase named {}", stop),
                fmt::format("one of {}", fmt::join(names, ", ")));
  }
  State state{.graph = graph, .options = options};
  state.precision = planPrecision(state.graph, options);
  if (options.onGraph) options.onGraph("import", state.graph);
  if (stop == "import") return std::nullopt;
  for (const PhaseStep& phase : kPipeline) {
    if (options.cancelled && *options.cancelled)
      throw Error(ErrorCode::Interrupted,
                  fmt::format("the build was cancelled before {}", phase.name));
    auto start = std::chrono::steady_clock::now();
    if (options.progress) options.progress(phase.name, 0, 1);
    try {
      phase.run(state);
      verifyAll(state);
    } catch (Error& error) {
      error.within(fmt::format("phase {}", phase.name));
      throw;
    }
    double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    options.log.verbose(fmt::format("phase {}: {:.1f} ms, {} nodes", phase.name, seconds * 1e3,
                                    state.graph.nodes().size()));
    if (options.onGraph) options.onGraph(phase.name, state.graph);
    if (stop == phase.name && stop != "emit") return std::nullopt;
  }
  return std::move(state.engine);
}

}  // namespace carnot
