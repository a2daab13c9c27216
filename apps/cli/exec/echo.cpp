#include "cli/exec/echo.h"

#include <carnot/device.h>
#include <carnot/memory.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/console.h"

namespace carnot::cli::exec {

namespace {

std::string precisionText(const BuildFlags& build) {
  if (build.stronglyTyped) return "Strongly Typed";
  std::string text = "FP32";
  if (build.fp16 || build.best) text += "+FP16";
  if (build.bf16 || build.best) text += "+BF16";
  return text;
}

std::string_view verbosityText(Verbosity verbosity) {
  switch (verbosity) {
    case Verbosity::LayerNamesOnly:
      break;
    case Verbosity::Detailed:
      return "detailed";
    case Verbosity::None:
      return "none";
  }
  return "layer_names_only";
}

std::string dimsOf(const Shapes& shapes, const std::string& name) {
  auto found = shapes.find(name);
  return found == shapes.end() ? "-" : shapeText(found->second);
}

void echoProfiles(const Options& options, const Output& output) {
  const std::vector<ProfileSpec>& profiles = options.build.profiles;
  if (profiles.empty()) {
    output.info(options.inference.shapes.empty() ? "Input build shapes: model"
                                                 : "Input build shapes: as --shapes");
    return;
  }
  for (size_t i = 0; i < profiles.size(); ++i) {
    const ProfileSpec& profile = profiles[i];
    output.info(fmt::format("Input build shapes (profile {}):", i));
    Shapes names = profile.min;
    names.insert(profile.opt.begin(), profile.opt.end());
    for (const auto& entry : names)
      output.info(fmt::format("  {}: min {}, opt {}, max {}", entry.first,
                              dimsOf(profile.min, entry.first), dimsOf(profile.opt, entry.first),
                              dimsOf(profile.max, entry.first)));
  }
}

void echoBuild(const Options& options, const Output& output) {
  const BuildFlags& build = options.build;
  output.section("Build Options");
  output.info("Batch: Explicit");
  output.info(build.workspaceMiB
                  ? fmt::format("Memory Pools: workspace: {} MiB", numberText(*build.workspaceMiB))
                  : "Memory Pools: workspace: default");
  output.info("Precision: " + precisionText(build));
  output.info(fmt::format("TF32: {}", build.noTf32 ? "Disabled" : "Allowed"));
  output.info(fmt::format("Sensitive Layers: {}", build.roundAll ? "Rounded" : "Kept In FP32"));
  output.info(fmt::format("Fusion: {}", onOff(build.fusion)));
  output.info(fmt::format("Builder Optimization Level: {}", build.optimizationLevel));
  output.info(fmt::format("Timing Cache Mode: {}", build.noBuilderCache ? "disable" : "global"));
  output.info(fmt::format("Timing Cache File: {}", build.noBuilderCache ? ""
                                                   : build.timingCacheFile.empty()
                                                       ? "in the user's cache folder"
                                                       : build.timingCacheFile));
  output.info(fmt::format("Profiling Verbosity: {}", verbosityText(build.verbosity)));
  output.info(fmt::format("Skip Inference: {}", onOff(build.skipInference)));
  output.info("Save Engine: " + build.saveEngine);
  output.info("Load Engine: " + build.loadEngine);
  echoProfiles(options, output);
}

// What a flag and its opposite leave, and that it is the default.
std::string choiceText(Choice choice, bool byDefault, const char* note) {
  if (choice != Choice::Default) return onOff(choice == Choice::On);
  return fmt::format("{} (default{})", onOff(byDefault), note);
}

void echoInference(const Options& options, const Output& output) {
  const InferenceFlags& inference = options.inference;
  output.section("Inference Options");
  output.info("Batch: Explicit");
  if (inference.shapes.empty()) output.info("Input inference shapes: model");
  for (const auto& [name, dims] : inference.shapes)
    output.info(fmt::format("Input inference shape: {}={}", name, shapeText(dims)));
  output.info(fmt::format("Iterations: {}", inference.iterations));
  output.info(inference.forever() ? fmt::format("Duration: until interrupted (+ {}ms warm up)",
                                                numberText(inference.warmUpMilliseconds))
                                  : fmt::format("Duration: {}s (+ {}ms warm up)",
                                                numberText(inference.durationSeconds),
                                                numberText(inference.warmUpMilliseconds)));
  output.info(fmt::format("Sleep time: {}ms", numberText(inference.sleepMilliseconds)));
  output.info(fmt::format("Idle time: {}ms", numberText(inference.idleMilliseconds)));
  output.info(fmt::format("Inference Streams: {}", inference.streams.value_or(1)));
  output.info("Data transfers: " +
              choiceText(inference.transfers, true,
                         " of trtexec up to 10; --noDataTransfers is that of 11"));
  output.info("Spin-wait: " + choiceText(inference.spinWait, false, ""));
  output.info(fmt::format("ExposeDMA: {}", onOff(inference.exposeDma)));
  output.info(fmt::format("Multithreading: {}", onOff(inference.threads)));
  output.info("CUDA Graph: " + choiceText(inference.cudaGraph, false, ""));
  output.info(fmt::format("Separate profiling: {}", onOff(inference.separateProfileRun)));
  output.info(fmt::format("Time Deserialize: {}", onOff(inference.timeDeserialize)));
  output.info("Inputs:");
  for (const ReferencePair& pair : inference.pairs)
    for (const auto& files : {pair.inputs, pair.outputs})
      for (const auto& [name, file] : files) output.info(fmt::format("{}<-{}", name, file));
}

void echoReporting(const ReportFlags& report, const Output& output) {
  output.section("Reporting Options");
  output.info(fmt::format("Verbose: {}", onOff(report.verbose)));
  output.info(fmt::format("Averages: {} inferences", report.averageRuns));
  output.info(fmt::format("Percentiles: {}", fmt::join(report.percentiles, ",")));
  output.info(fmt::format("Dump output: {}", onOff(report.dumpOutput)));
  output.info(fmt::format("Profile: {}", onOff(report.profiles())));
  output.info("Export timing to JSON file: " + report.exportTimes);
  output.info("Export output to JSON file: " + report.exportOutput);
  output.info("Export profile to JSON file: " + report.exportProfile);
}

}  // namespace

void echoOptions(const Options& options, const Output& output) {
  output.info("=== Model Options ===");
  output.info(fmt::format("Format: {}", options.model.onnx.empty() ? "*" : "ONNX"));
  output.info("Model: " + options.model.onnx);
  echoBuild(options, output);
  output.section("System Options");
  output.info("Device: 0");
  output.info("DLACore: ");
  output.info("Plugins:");
  echoInference(options, output);
  echoReporting(options.report, output);
}

void echoDevice(const Output& output) {
  DeviceInfo device = deviceInfo();
  output.section("Device Information");
  output.info(fmt::format("Selected Device: {}", device.model));
  output.info(fmt::format("Device Kind: {} ({})", device.kind, device.reason));
  output.info(fmt::format("Instruction Sets: {}", device.isa));
  output.info(fmt::format("Threads: {}", device.threads));
  output.info(fmt::format("Caches: L1 {}, L2 {}, L3 {}", sizeText(device.l1Bytes),
                          sizeText(device.l2Bytes), sizeText(device.l3Bytes)));
  output.info(fmt::format("Device Global Memory: {} MiB", deviceMemory().usage().total >> 20));
}

}  // namespace carnot::cli::exec
