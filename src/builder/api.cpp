#include <carnot/builder.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/threads.h"
#include "base/version.h"
#include "builder/compile.h"
#include "builder/network.h"
#include "devices/default_kind.h"
#include "ir/text.h"
#include "runtime/api.h"
#include "tactics/timing_cache.h"

namespace carnot {

namespace {

// Writes the graph's text after each phase to numbered files.
class GraphDump {
 public:
  explicit GraphDump(std::string folder) : folder_(std::move(folder)) {
    std::error_code failed;
    std::filesystem::create_directories(folder_, failed);
    if (failed)
      throw Error(ErrorCode::Io, fmt::format("no folder {}: {}", folder_, failed.message()),
                  "a folder that can be written", "name another one with dumpIr");
  }
  void operator()(std::string_view phase, const Graph& graph) {
    std::string name(phase);
    std::replace(name.begin(), name.end(), '/', '.');
    AtomicFile file(fmt::format("{}/{:02}.{}.txt", folder_, count_++, name));
    std::string text = printGraph(graph);
    file.write(text.data(), text.size());
    file.commit();
  }

 private:
  std::string folder_;
  int count_ = 0;
};

std::string timingCachePath(const std::string& wanted) {
  if (wanted == "none") return {};
  if (!wanted.empty()) return wanted;
  std::string folder = cacheFolder();
  return folder.empty() ? folder : folder + "/timing.json";
}

CompileOptions compileOptions(const BuildOptions& options) {
  CompileOptions out;
  out.device =
      deviceTraits(options.device.empty() ? chooseDevice(DeviceUse::Carnot).kind : options.device,
                   options.threads > 0 ? options.threads : defaultThreads());
  if (out.device.kind == "cpu") out.device.isa = parseIsa(options.isa);
  for (const Profile& profile : options.profiles) {
    ProfileShapes shapes;
    for (const auto& [name, range] : profile.inputs)
      shapes.inputs[name] = {range.min, range.opt, range.max};
    out.profiles.push_back(std::move(shapes));
  }
  out.optimizationLevel = options.optimizationLevel;
  out.budgetSeconds = options.budgetSeconds;
  if (options.timings)
    out.timings = options.timings;
  else
    out.timingCache = timingCachePath(options.timingCache);
  out.permits = options.permits;
  out.layerPrecisions = options.layerPrecisions;
  out.precisionConstraints = options.precisionConstraints;
  out.tf32 = options.tf32;
  out.roundAll = options.roundAll;
  out.workspaceBytes = options.workspaceBytes;
  out.passes.skip.insert(options.skipPasses.begin(), options.skipPasses.end());
  if (!options.fusion)
    for (const Pass& pass : allPasses())
      if (pass.role == Pass::Role::Fusing) out.passes.skip.emplace(pass.name);
  out.passes.patchLimit = options.patchLimit;
  if (options.onPatch)
    out.passes.onPatch = [&options](const PatchReport& report) {
      options.onPatch({report.number, report.pass, report.label, report.reason, report.node.name,
                       report.node.origins});
    };
  out.passes.log = Log(options.logLevel, options.log);
  out.withoutKernels = options.withoutKernels;
  out.stopAfter = options.stopAfter;
  out.producer = fmt::format("carnot {}", version());
  if (!options.dumpIr.empty()) out.onGraph = GraphDump(options.dumpIr);
  out.progress = options.progress;
  out.cancelled = options.cancelled;
  out.log = out.passes.log;
  return out;
}

void checkPermits(const std::set<DType>& permits) {
  for (DType type : permits)
    if (!isFloat(type))
      throw Error(ErrorCode::InvalidArgument, fmt::format("a permission for {}", dtypeName(type)),
                  "a float type");
}

// `import` gives the graph.
template <typename Import>
Engine buildGraph(Import import, const BuildOptions& options) {
  checkPermits(options.permits);
  CompileOptions compiling = compileOptions(options);
  if (compiling.progress) compiling.progress("import", 0, 1);
  std::optional<EngineData> data = compile(import(compiling.log), compiling);
  if (!data) return {};
  return wrapEngine(std::make_shared<const EngineData>(std::move(*data)), compiling.device.threads);
}

Engine buildModel(const OnnxModel& model, const BuildOptions& options) {
  return buildGraph(
      [&](const Log& log) {
        ImportOptions importing;
        importing.log = log;
        if (!options.profiles.empty())
          for (const auto& [name, range] : options.profiles[0].inputs)
            importing.usualShapes.emplace(name, range.opt);
        return importOnnx(model, importing);
      },
      options);
}

}  // namespace

Engine build(const std::string& path, const BuildOptions& options) {
  OnnxModel model = readOnnxFile(path);
  try {
    return buildModel(model, options);
  } catch (Error& error) {
    error.within("file " + path);
    throw;
  }
}

Engine build(std::span<const std::byte> model, const BuildOptions& options,
             const std::string& folder) {
  return buildModel(ownedModel(model, folder), options);
}

Engine build(const Network& network, const BuildOptions& options) {
  return buildGraph([&](const Log&) { return networkGraph(network); }, options);
}

std::string mergeTimings(std::string_view first, std::string_view second) {
  TimingCache cache{""};
  if (!first.empty()) cache.parse(std::string(first), "given first");
  if (!second.empty()) cache.parse(std::string(second), "given second");
  return cache.toJson();
}

std::vector<std::string> buildPhases() {
  auto phases = compilePhases();
  return {phases.begin(), phases.end()};
}

}  // namespace carnot
