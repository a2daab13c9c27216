#include "cli/source.h"

#include <carnot/device.h>
#include <carnot/error.h>
#include <fmt/format.h>

#include <atomic>
#include <csignal>

#include "cli/console.h"
#include "cli/interrupt.h"

namespace carnot::cli {

Engine buildSource(const Source& source) {
  ProgressLine line;
  Interrupt interrupt;
  BuildOptions options = source.build;
  options.cancelled = &interrupt.flag();
  options.progress = [&](std::string_view phase, size_t done, size_t all) {
    line.show(phase, done, all);
  };
  options.logLevel = source.verbose ? Severity::Verbose : Severity::Warning;
  options.log = [&](Severity severity, std::string_view message) {
    line.erase();
    writeNote(severity <= Severity::Warning ? fmt::format("warning: {}", message)
                                            : std::string(message));
  };
  Engine engine = build(source.path, options);
  if (interrupt.flag()) throw Error(ErrorCode::Interrupted, "the build was cancelled at its end");
  return engine;
}

std::string deviceReason(const Source& source) {
  if (isEngineFile(source.path) || !source.build.device.empty()) return {};
  return deviceInfo(DeviceUse::Carnot).reason;
}

Engine openSource(const Source& source) {
  if (!isEngineFile(source.path)) return buildSource(source);
  if (!source.buildFlags.empty())
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("file {}: {} beside an engine, which is built already", source.path,
                            source.buildFlags[0]),
                "an ONNX model", "build with it again, or leave it out");
  LoadOptions options;
  options.threads = source.build.threads;
  return Engine::load(source.path, options);
}

}  // namespace carnot::cli
