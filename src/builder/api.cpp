#include <carnot/builder.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "base/threads.h"
#include "base/version.h"
#include "builder/compile.h"
#include "frontend/onnx/import.h"
#include "ir/text.h"
#include "runtime/api.h"

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
  out.device = hostTraits(options.threads > 0 ? options.threads : defaultThreads());
  out.device.isa = parseIsa(options.isa);
  for (const Profile& profile : options.profiles) {
    ProfileShapes shapes;
    for (const auto& [name, range] : profile.inputs)
      shapes.inputs[name] = {range.min, range.opt, range.max};
    out.profiles.push_back(std::move(shapes));
  }
  out.optimizationLevel = options.optimizationLevel;
  out.budgetSeconds = options.budgetSeconds;
  out.timingCache = timingCachePath(options.timingCache);
  out.passes.skip.insert(options.skipPasses.begin(), options.skipPasses.end());
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

// Errors name the file, if there is a path.
Engine buildModel(const OnnxModel& model, const BuildOptions& options,
                  const std::string& path = {}) {
  CompileOptions compiling = compileOptions(options);
  ImportOptions importing;
  importing.log = compiling.log;
  if (compiling.progress) compiling.progress("import", 0, 1);
  std::optional<EngineData> data;
  try {
    data = compile(importOnnx(model, importing), compiling);
  } catch (Error& error) {
    if (!path.empty()) error.within("file " + path);
    throw;
  }
  if (!data) return {};
  return wrapEngine(std::make_shared<const EngineData>(std::move(*data)), compiling.device.threads);
}

}  // namespace

Engine build(const std::string& path, const BuildOptions& options) {
  return buildModel(readOnnxFile(path), options, path);
}

Engine build(std::span<const std::byte> model, const BuildOptions& options,
             const std::string& folder) {
  auto copy = Buffer::allocate(std::max<size_t>(model.size(), 1));
  std::copy(model.begin(), model.end(), static_cast<std::byte*>(copy->data()));
  std::span<const std::byte> bytes(static_cast<const std::byte*>(copy->data()), model.size());
  return buildModel(readOnnxBytes(bytes, copy, folder), options);
}

std::vector<std::string> buildPhases() {
  auto phases = compilePhases();
  return {phases.begin(), phases.end()};
}

}  // namespace carnot
