#include "cli/exec/obtain.h"

#include <carnot/builder.h>
#include <carnot/device.h>
#include <carnot/error.h>
#include <carnot/network.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/console.h"
#include "cli/exec/io_formats.h"
#include "cli/exec/name_pattern.h"
#include "cli/exec/network_shapes.h"
#include "cli/interrupt.h"

namespace carnot::cli::exec {

namespace {

using Clock = std::chrono::steady_clock;

std::string secondsSince(Clock::time_point start) {
  return numberText(std::chrono::duration<double>(Clock::now() - start).count());
}

BuildOptions buildOptions(const Options& options) {
  const BuildFlags& flags = options.build;
  BuildOptions build;
  build.device = deviceInfo().kind;
  if (flags.fp16 || flags.best) build.permits.insert(DType::F16);
  if (flags.bf16 || flags.best) build.permits.insert(DType::BF16);
  build.tf32 = !flags.noTf32;
  build.roundAll = flags.roundAll;
  // No limit is 0 to the builder, no scratch memory at all is 0 to the user.
  if (flags.workspaceMiB)
    build.workspaceBytes =
        std::max<size_t>(static_cast<size_t>(*flags.workspaceMiB * (1 << 20)), 1);
  build.optimizationLevel = flags.optimizationLevel;
  build.timingCache = flags.noBuilderCache ? "none" : flags.timingCacheFile;
  build.fusion = flags.fusion;
  if (deviceInfo().kind == "cuda") build.withoutKernels = flags.withoutKernels;
  build.logLevel = options.report.verbose ? Severity::Verbose : Severity::Info;
  return build;
}

std::string contentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// With --errorOnTimingCacheMiss: the times of the file, which stays as it is, and after the build
// whether there are others. Throws Error (InvalidArgument) then.
class CacheCheck {
 public:
  CacheCheck(const BuildFlags& flags, BuildOptions& build) : flags_(flags) {
    if (!flags.errorOnCacheMiss) return;
    known_ = timings_ = contentsOf(flags.timingCacheFile);
    build.timings = &timings_;
  }
  void finish() const {
    if (!flags_.errorOnCacheMiss) return;
    if (!known_.empty() && mergeTimings(known_, known_) == mergeTimings(timings_, timings_)) return;
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("--errorOnTimingCacheMiss: kernels that {} has no times of",
                            flags_.timingCacheFile),
                "a cache that knows them all",
                "build once without --errorOnTimingCacheMiss to add them");
  }

 private:
  const BuildFlags& flags_;
  std::string known_, timings_;
};

void keepDebugTensors(const BuildFlags& flags, Network& network) {
  std::vector<TensorInfo> outputs = network.outputs();
  for (const std::string& name : flags.debugTensors)
    if (std::ranges::find(outputs, name, &TensorInfo::name) == outputs.end()) {
      try {
        network.markOutput(name);
      } catch (Error& error) {
        error.within("--markDebug");
        throw;
      }
    }
}

// What the flags ask of the network's layers, by name.
std::map<std::string, LayerPrecision> layerPrecisions(const BuildFlags& flags,
                                                      const Network& network,
                                                      const Output& output) {
  std::map<std::string, LayerPrecision> layers;
  if (flags.layerPrecisions.empty() && flags.layerOutputTypes.empty()) return layers;
  if (flags.constraints == PrecisionConstraints::None) {
    output.warning(
        "layers' precisions are asked for without --precisionConstraints=prefer or "
        "obey: nothing is made of them");
    return layers;
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < network.layerCount(); ++i) names.push_back(network.layer(i).name);
  for (const auto& entry : flags.layerPrecisions)
    requireMatch("--layerPrecisions", entry.first, names);
  for (const auto& entry : flags.layerOutputTypes)
    requireMatch("--layerOutputTypes", entry.first, names);
  for (const std::string& name : names) {
    const DType* compute = findByName(flags.layerPrecisions, name);
    const DType* given = findByName(flags.layerOutputTypes, name);
    if (!compute && !given) continue;
    LayerPrecision& layer = layers[name];
    if (compute) layer.compute = *compute;
    if (given) layer.output = *given;
  }
  return layers;
}

Engine buildEngine(const Options& options, const Output& output) {
  Clock::time_point start = Clock::now();
  Network network = Network::parse(options.model.onnx);
  applyFormats(options.build, network);
  keepDebugTensors(options.build, network);
  output.info(fmt::format("Finished parsing network model. Parse time: {}", secondsSince(start)));
  BuildOptions build = buildOptions(options);
  build.precisionConstraints = options.build.constraints;
  build.layerPrecisions = layerPrecisions(options.build, network, output);
  build.profiles = buildProfiles(options, network.inputs(), output);

  CacheCheck cache(options.build, build);
  ProgressLine line;
  Interrupt interrupt;
  build.cancelled = &interrupt.flag();
  build.progress = [&](std::string_view phase, size_t done, size_t all) {
    line.show(phase, done, all);
  };
  build.log = [&](Severity severity, std::string_view message) {
    line.erase();
    output.line(severity, message);
  };
  start = Clock::now();
  Engine engine = carnot::build(network, build);
  line.erase();
  if (interrupt.flag()) throw Error(ErrorCode::Interrupted, "the build was cancelled at its end");
  cache.finish();
  EngineInfo info = engine.info();
  output.info(fmt::format("Engine built in {} sec.", secondsSince(start)));
  output.info(fmt::format("Created engine of {} layers with {} of weights", info.layers,
                          sizeText(static_cast<double>(info.weightBytes))));
  return engine;
}

void saveEngine(const Engine& engine, const std::string& path, const Output& output) {
  Interrupt postponed;  // a file begun is finished
  engine.save(path);
  std::error_code unknown;
  uintmax_t size = std::filesystem::file_size(path, unknown);
  output.info(
      unknown ? fmt::format("Engine saved to {}", path)
              : fmt::format("Engine saved to {} ({})", path, sizeText(static_cast<double>(size))));
}

}  // namespace

Engine obtainEngine(const Options& options, const Output& output) {
  const BuildFlags& flags = options.build;
  if (flags.loadEngine.empty()) {
    try {
      Engine engine = buildEngine(options, output);
      if (!flags.saveEngine.empty()) saveEngine(engine, flags.saveEngine, output);
      return engine;
    } catch (Error& error) {
      // One that the file gave when it was opened names it.
      if (error.context().empty() && error.code() != ErrorCode::Io)
        error.within("file " + options.model.onnx);
      throw;
    }
  }
  Clock::time_point start = Clock::now();
  Engine engine = Engine::load(flags.loadEngine);
  output.info(fmt::format("Engine loaded in {} sec.", secondsSince(start)));
  return engine;
}

}  // namespace carnot::cli::exec
