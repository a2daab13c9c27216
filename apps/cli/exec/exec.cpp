#include "cli/exec/exec.h"

#include <carnot/device.h>
#include <carnot/error.h>
#include <carnot/report.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstdlib>
#include <new>

#include "cli/console.h"
#include "cli/exec/bindings.h"
#include "cli/exec/contradictions.h"
#include "cli/exec/debug_tensors.h"
#include "cli/exec/echo.h"
#include "cli/exec/flags.h"
#include "cli/exec/inference.h"
#include "cli/exec/layer_info.h"
#include "cli/exec/memory_report.h"
#include "cli/exec/network_shapes.h"
#include "cli/exec/obtain.h"
#include "cli/exec/outputs.h"
#include "cli/exec/parse.h"
#include "cli/exec/profile.h"
#include "cli/exec/references.h"
#include "cli/exec/summary.h"
#include "cli/interrupt.h"
#include "cli/output_file.h"

namespace carnot::cli::exec {

namespace {

void checkOutputFiles(const Options& options) {
  const ReportFlags& report = options.report;
  for (const std::string& path :
       {options.build.saveEngine, options.build.timingCacheFile, report.exportTimes,
        report.exportOutput, report.exportProfile, report.exportLayerInfo})
    if (!path.empty()) checkOutputFile(path, options.model.onnx);
}

void warnOfIdleFlags(const ParsedLine& line, const Output& output) {
  for (const auto& [flag, reason] : line.idle)
    output.warning(fmt::format("{} has no effect: {}", flag, reason));
  if (!line.options.build.loadEngine.empty())
    for (const std::string& flag : buildFlagsGiven(line.options))
      output.warning(fmt::format("{} has no effect: the engine is built already", flag));
  if (line.options.build.skipInference)
    for (const std::string& flag : inferenceFlagsGiven(line.options))
      output.warning(fmt::format("{} has no effect: inference is skipped", flag));
  if (deviceInfo().kind != "cpu") return;
  if (line.options.has("--tacticSources"))
    output.warning("--tacticSources has no effect on the CPU: these libraries are of a GPU");
  if (line.options.inference.cudaGraph == Choice::On)
    output.warning("--useCudaGraph has no effect on the CPU: an inference is one call");
  if (line.options.inference.spinWait == Choice::On)
    output.warning("--useSpinWait has no effect on the CPU: a call returns when its work is done");
}

void timeDeserialization(const Engine& engine, const Options& options, const Output& output) {
  constexpr int kRuns = 20;
  std::vector<std::byte> bytes;
  const std::string& path = options.build.loadEngine;
  if (path.empty()) bytes = engine.serialize();
  std::vector<double> times;
  double sum = 0;
  for (int i = 0; i < kRuns; ++i) {
    auto start = std::chrono::steady_clock::now();
    Engine loaded = path.empty() ? Engine::deserialize(bytes) : Engine::load(path);
    std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
    times.push_back(time.count());
    sum += time.count();
  }
  output.info(fmt::format(
      "Total deserialization time = {} milliseconds in {} iterations, average time = {} "
      "milliseconds, first time = {} milliseconds.",
      numberText(sum), kRuns, numberText(sum / kRuns), numberText(times.front())));
}

// The first SIGINT or SIGTERM ends it: as wished if it has no end of its own, else Error
// (Interrupted).
Trace runUntilDone(std::span<Bindings> streams, const InferenceFlags& flags, LayerTimes* layers) {
  Interrupt interrupt;
  Trace trace = runInference(streams, flags, interrupt.flag(), layers);
  if (interrupt.flag() && !flags.forever())
    throw Error(ErrorCode::Interrupted, "the inferences were cancelled");
  if (trace.queries.empty())
    throw Error(ErrorCode::Interrupted, "the inferences were cancelled before the first measured");
  return trace;
}

void reportProfile(const Options& options, std::vector<Bindings>& streams, LayerTimes& times,
                   const Output& output) {
  const ReportFlags& report = options.report;
  std::vector<LayerReport> layers = profileLayers(streams[0].context(), 1);
  if (report.dumpProfile) dumpProfile(times, layers, output);
  if (!report.exportProfile.empty()) exportProfile(report.exportProfile, times, layers);
}

void infer(const Options& options, const Engine& engine, const Output& output) {
  const InferenceFlags& flags = options.inference;
  const ReportFlags& report = options.report;
  Shapes shapes = runShapes(options, engine, output);
  std::vector<Bindings> streams;
  for (int i = 0; i < flags.streams.value_or(1); ++i)
    streams.emplace_back(engine, shapes, flags, i == 0 ? &output : nullptr);
  double arena = static_cast<double>(streams[0].context().memory().arenaBytes);
  output.info(fmt::format("Memory between layers: {} for each stream", sizeText(arena)));

  if (report.monitorMemory) reportMemory("the inputs and outputs", output);
  LayerTimes times;
  bool together = report.profiles() && !flags.separateProfileRun;
  output.info("Starting inference");
  Trace trace = runUntilDone(streams, flags, together ? &times : nullptr);
  for (Bindings& stream : streams)
    if (!flags.copies()) stream.copyOutputs();
  reportTrace(trace, flags, report, output);
  if (!report.exportTimes.empty()) exportTimes(report.exportTimes, trace);
  if (report.profiles() && flags.separateProfileRun) {
    output.info("");
    output.info("Starting a second run to time the layers");
    InferenceFlags again = flags;
    if (flags.forever()) again.durationSeconds = 0;
    runUntilDone(streams, again, &times);
  }
  if (report.profiles()) reportProfile(options, streams, times, output);
  if (report.dumpOutput) dumpOutputs(streams[0], output);
  if (!report.exportOutput.empty()) exportOutputs(report.exportOutput, streams[0]);
  if (report.dumpBindings) dumpRawBindings(streams[0], output);
  if (report.debugs()) saveDebugTensors(streams[0], report, output);
  if (report.monitorMemory) reportMemory("inference", output);
  if (options.has("--loadRefOutputs")) compareReferences(streams[0], flags, output);
}

// An engine built for the CPU runs there on a machine with a GPU too.
void chooseDeviceOf(const std::string& engineFile) {
  constexpr const char* kVariable = "CARNOT_DEVICE";
  const char* chosen = std::getenv(kVariable);
  if ((chosen && *chosen) || deviceInfo().kind == "cpu") return;
  if (Engine::load(engineFile).info().deviceKind == "cpu") setenv(kVariable, "cpu", 1);
}

void carryOut(const ParsedLine& line, const Output& output) {
  const Options& options = line.options;
  if (options.build.planVersionOnly) {
    output.info("Engine written by " + Engine::load(options.build.loadEngine).info().producer);
    return;
  }
  if (!options.build.loadEngine.empty()) chooseDeviceOf(options.build.loadEngine);
  echoOptions(options, output);
  echoDevice(output);
  output.info("");
  warnOfIdleFlags(line, output);
  checkOutputFiles(options);
  Engine engine = obtainEngine(options, output);
  const ReportFlags& report = options.report;
  if (report.monitorMemory) reportMemory("the engine", output);
  if (report.dumpOptimizationProfile) dumpOptimizationProfiles(engine, output);
  if (report.dumpLayerInfo) dumpLayerInfo(engine, options.build.verbosity, output);
  if (!report.exportLayerInfo.empty())
    exportLayerInfo(report.exportLayerInfo, engine, options.build.verbosity);
  if (options.inference.timeDeserialize)
    timeDeserialization(engine, options, output);
  else if (options.build.skipInference)
    output.info("Skipped inference phase since --skipInference is added.");
  else
    infer(options, engine, output);
}

int attempt(const ParsedLine& line, const Output& output) {
  if (!line.unknown.empty()) writeResult(helpText());
  for (const std::string& unknown : line.unknown) output.error("Unknown option: " + unknown);
  for (const std::string& problem : line.problems) output.error(problem);
  if (!line.unknown.empty() || !line.problems.empty()) return 1;
  try {
    carryOut(line, output);
    return 0;
  } catch (const Error& error) {
    output.error(error.what());
    return error.code() == ErrorCode::Interrupted ? Interrupt::exitStatus() : 1;
  } catch (const std::bad_alloc&) {
    output.error("out of memory");
  } catch (const std::exception& error) {
    output.error(fmt::format("{}; this is a defect of Carnot", error.what()));
  }
  return 1;
}

}  // namespace

int runExec(const std::vector<std::string>& arguments) {
  ParsedLine line = parseLine(arguments);
  if (line.options.help || line.options.version) {
    writeResult(line.options.help ? helpText() : fmt::format("carnot exec {}\n", version()));
    return 0;
  }
  std::string title = fmt::format("Carnot.trtexec [Carnot v{}] # carnot exec {}\n", version(),
                                  fmt::join(arguments, " "));
  writeResult("&&&& RUNNING " + title);
  int status = attempt(line, Output(line.options.report.verbose));
  writeResult((status == 0 ? "&&&& PASSED " : "&&&& FAILED ") + title);
  return status;
}

}  // namespace carnot::cli::exec
