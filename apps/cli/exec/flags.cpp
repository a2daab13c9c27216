#include "cli/exec/flags.h"

#include <carnot/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/exec/values.h"

namespace carnot::cli::exec {

namespace {

using P = Parsing&;
using V = const std::string&;

constexpr Flag kModel[] = {
    {"--onnx", "FILE", "build this ONNX model", [](P p, V v) { p.options.model.onnx = v; }},
};

Verbosity verbosityOf(V text) {
  if (text == "layer_names_only" || text == "default") return Verbosity::LayerNamesOnly;
  if (text == "detailed" || text == "verbose") return Verbosity::Detailed;
  if (text == "none") return Verbosity::None;
  throw Error(ErrorCode::InvalidArgument, fmt::format("'{}'", text),
              "layer_names_only, detailed or none");
}

PrecisionConstraints constraintsOf(V text) {
  if (text == "none") return PrecisionConstraints::None;
  if (text == "prefer") return PrecisionConstraints::Prefer;
  if (text == "obey") return PrecisionConstraints::Obey;
  throw Error(ErrorCode::InvalidArgument, fmt::format("'{}'", text), "none, prefer or obey");
}

// An input that a profile names twice is most likely meant for another profile.
void addShapes(Shapes& shapes, V text) {
  for (auto& [name, dims] : shapePatterns(text))
    if (!shapes.emplace(name, dims).second)
      throw Error(ErrorCode::InvalidArgument, fmt::format("a second shape of input '{}'", name),
                  "one for each profile", "begin another profile with --profile=N");
}

// An input or output that a pair names twice is most likely meant for another pair.
void addFiles(std::map<std::string, std::string>& files, V text) {
  for (auto& [name, file] : namedFiles(text))
    if (!files.emplace(name, file).second)
      throw Error(ErrorCode::InvalidArgument, fmt::format("a second file for '{}'", name),
                  "one for each pair", "begin another pair with --refPair=N");
}

constexpr Flag kBuild[] = {
    {"--saveEngine", "FILE", "write the engine", [](P p, V v) { p.options.build.saveEngine = v; }},
    {"--minShapes", "SPEC", "least shapes of a profile: input:1x3x224x224,other:8; 0-d: x:scalar",
     [](P p, V v) { addShapes(p.currentProfile().min, v); }, true},
    {"--optShapes", "SPEC", "shapes that the profile is tuned at",
     [](P p, V v) { addShapes(p.currentProfile().opt, v); }, true},
    {"--maxShapes", "SPEC", "greatest shapes of the profile; any shape outside is refused",
     [](P p, V v) { addShapes(p.currentProfile().max, v); }, true},
    {"--profile", "N", "the profile that the shapes after it belong to (default: 0)",
     [](P p, V v) { p.profile = wholeNumber(v, 0, 63); }, true},
    {"--fp16", "", "allow layers to compute in FP16", [](P p, V) { p.options.build.fp16 = true; }},
    {"--bf16", "", "allow layers to compute in BF16 (on a CPU, products to round to it)",
     [](P p, V) { p.options.build.bf16 = true; }},
    {"--best", "", "allow every precision that this build has: FP16 and BF16",
     [](P p, V) { p.options.build.best = true; }},
    {"--precisionConstraints", "WHICH",
     "none (default), prefer or obey: what --layerPrecisions and --layerOutputTypes are worth",
     [](P p, V v) { p.options.build.constraints = constraintsOf(v); }},
    {"--layerPrecisions", "LAYER:TYPE,…", "what layers compute in: conv1:fp32,*:fp16",
     [](P p, V v) { p.options.build.layerPrecisions = layerTypes(v); }},
    {"--layerOutputTypes", "LAYER:TYPE,…", "what layers' outputs are rounded to",
     [](P p, V v) { p.options.build.layerOutputTypes = layerTypes(v); }},
    {"--stronglyTyped", "", "compute in the model's own types",
     [](P p, V) { p.options.build.stronglyTyped = true; }},
    {"--noTF32", "", "compute FP32 products in full (the CPU does so anyway)",
     [](P p, V) { p.options.build.noTf32 = true; }},
    {"--roundAll", "",
     "FP16, BF16, TF32 also for convolutions that gain little by them, or that others amplify",
     [](P p, V) { p.options.build.roundAll = true; }},
    {"--workspace", "MIB", "scratch memory that a layer may use (default: no limit)",
     [](P p, V v) { p.options.build.workspaceMiB = mebibytes(v); }},
    {"--memPoolSize", "workspace:SIZE", "the same, in MiB, or with suffix B, K, M or G",
     [](P p, V v) { p.options.build.workspaceMiB = workspacePool(v); }},
    {"--builderOptimizationLevel", "0..5", "0: estimates choose kernels, 5: all are timed (3)",
     [](P p, V v) { p.options.build.optimizationLevel = wholeNumber(v, 0, 5); }},
    {"--timingCacheFile", "FILE", "keep kernels' times there (default: the user's cache folder)",
     [](P p, V v) { p.options.build.timingCacheFile = v; }},
    {"--errorOnTimingCacheMiss", "",
     "fail when a kernel had to be timed that the file of --timingCacheFile lacks",
     [](P p, V) { p.options.build.errorOnCacheMiss = true; }},
    {"--tacticSources", "+LIB,-LIB",
     "leave kernels of a GPU out or in: CUBLAS, CUBLAS_LT, CUDNN, EDGE_MASK_CONVOLUTIONS, "
     "JIT_CONVOLUTIONS (those that Carnot generates)",
     [](P p, V v) { p.options.build.withoutKernels = kernelsLeftOut(v); }},
    {"--noFusion", "", "make every node of the model a layer, to measure what fusion gains",
     [](P p, V) { p.options.build.fusion = false; }},
    {"--markDebug", "TENSOR,…", "keep tensors that fusion would remove, as outputs of the engine",
     [](P p, V v) { p.options.build.debugTensors = words(v); }},
    {"--noBuilderCache", "", "keep no times between builds",
     [](P p, V) { p.options.build.noBuilderCache = true; }},
    {"--profilingVerbosity", "WHICH", "layer_names_only (default), detailed or none",
     [](P p, V v) { p.options.build.verbosity = verbosityOf(v); }},
    {"--nvtxMode", "WHICH", "the same by its old name",
     [](P p, V v) { p.options.build.verbosity = verbosityOf(v); }},
    {"--inputIOFormats", "TYPE:chw,…", "types that inputs are passed in (default: the model's)",
     [](P p, V v) { p.options.build.inputFormats = v; }},
    {"--outputIOFormats", "TYPE:chw,…", "types that outputs are given in",
     [](P p, V v) { p.options.build.outputFormats = v; }},
    {"--skipInference", "", "build only", [](P p, V) { p.options.build.skipInference = true; }},
    {"--buildOnly", "", "the same by its old name",
     [](P p, V) { p.options.build.skipInference = true; }},
};

void setStreams(P p, V v) { p.options.inference.streams = wholeNumber(v, 1, 1024); }

constexpr Flag kInference[] = {
    {"--loadEngine", "FILE", "run this engine, built before",
     [](P p, V v) { p.options.build.loadEngine = v; }},
    {"--shapes", "SPEC", "shapes to run with; alone beside --onnx, to build for as well",
     [](P p, V v) { p.options.inference.shapes = shapePatterns(v); }},
    {"--useProfile", "N", "the profile to run with (default: any that admits the shapes)",
     [](P p, V v) { p.options.inference.profile = wholeNumber(v, 0, 63); }},
    {"--loadInputs", "NAME:FILE,…", "raw or .npy contents of inputs (default: made up)",
     [](P p, V v) { addFiles(p.currentPair().inputs, v); }, true},
    {"--loadRefOutputs", "NAME:FILE,…",
     "what outputs must be, raw or .npy; needs --accuracyThreshold",
     [](P p, V v) { addFiles(p.currentPair().outputs, v); }, true},
    {"--refPair", "N",
     "the pair that --loadInputs and --loadRefOutputs after it belong to (0); two or more pairs, "
     "of which the first is timed and all are compared",
     [](P p, V v) { p.pair = wholeNumber(v, 0, 1023); }, true},
    {"--accuracyAlgorithm", "WHICH",
     "how far outputs are from their references: l0 (default: share of the elements beyond atol + "
     "rtol |reference|), l1 (mean error), l2 (mean squared), lInf (greatest), cos (1 - cosine)",
     [](P p, V v) { p.options.inference.accuracy = accuracyOf(v); }},
    {"--accuracyThreshold", "X", "the most that it may be, above 0: beyond, the run fails",
     [](P p, V v) { p.options.inference.accuracyThreshold = positive(v); }},
    {"--atol", "X", "absolute tolerance of l0 (1e-5)",
     [](P p, V v) { p.options.inference.atol = number(v, 0); }},
    {"--rtol", "X", "relative tolerance of l0 (1e-5)",
     [](P p, V v) { p.options.inference.rtol = number(v, 0); }},
    {"--iterations", "N", "inferences at least (10)",
     [](P p, V v) { p.options.inference.iterations = wholeNumber(v, 0); }},
    {"--warmUp", "MS", "milliseconds before measuring (200)",
     [](P p, V v) { p.options.inference.warmUpMilliseconds = number(v, 0); }},
    {"--duration", "S", "seconds to measure at least (3); -1: until Ctrl-C",
     [](P p, V v) { p.options.inference.durationSeconds = v == "-1" ? -1 : number(v, 0); }},
    {"--sleepTime", "MS", "milliseconds of rest before the first inference (0)",
     [](P p, V v) { p.options.inference.sleepMilliseconds = number(v, 0); }},
    {"--idleTime", "MS", "milliseconds of rest between inferences (0)",
     [](P p, V v) { p.options.inference.idleMilliseconds = number(v, 0); }},
    {"--infStreams", "N", "contexts that run inferences (1)", setStreams},
    {"--streams", "N", "the same by its old name", setStreams},
    {"--threads", "", "a thread for each stream",
     [](P p, V) { p.options.inference.threads = true; }},
    {"--exposeDMA", "", "no copy to or from the device while another stream copies or computes",
     [](P p, V) { p.options.inference.exposeDma = true; }},
    {"--noDataTransfers", "", "leave copies to and from the device out",
     [](P p, V) { p.options.inference.transfers = Choice::Off; }},
    {"--includeDataTransfers", "", "with the copies (default)",
     [](P p, V) { p.options.inference.transfers = Choice::On; }},
    {"--useCudaGraph", "", "replay a captured graph (CUDA; one call already on the CPU)",
     [](P p, V) { p.options.inference.cudaGraph = Choice::On; }},
    {"--noCudaGraph", "", "launch each time (default)",
     [](P p, V) { p.options.inference.cudaGraph = Choice::Off; }},
    {"--useSpinWait", "", "wait busily for the device (CUDA; a CPU's calls do not wait)",
     [](P p, V) { p.options.inference.spinWait = Choice::On; }},
    {"--noSpinWait", "", "wait blocked (default)",
     [](P p, V) { p.options.inference.spinWait = Choice::Off; }},
    {"--separateProfileRun", "", "time layers in a run of their own, after the one measured",
     [](P p, V) { p.options.inference.separateProfileRun = true; }},
    {"--timeDeserialize", "", "time loading the engine, and end",
     [](P p, V) { p.options.inference.timeDeserialize = true; }},
};

constexpr Flag kReporting[] = {
    {"--verbose", "", "say what the builder does, and what the numbers mean",
     [](P p, V) { p.options.report.verbose = true; }},
    {"--avgRuns", "N", "inferences in each average of the trace (10)",
     [](P p, V v) { p.options.report.averageRuns = wholeNumber(v, 1); }},
    {"--percentile", "P,P…", "percentiles of the summary (90,95,99)",
     [](P p, V v) { p.options.report.percentiles = percentiles(v); }},
    {"--dumpProfile", "", "print each layer's time, precision, work and bound",
     [](P p, V) { p.options.report.dumpProfile = true; }},
    {"--exportProfile", "FILE", "the same as JSON",
     [](P p, V v) { p.options.report.exportProfile = v; }},
    {"--dumpLayerInfo", "",
     "print the engine's layers; all of them with --profilingVerbosity=detailed",
     [](P p, V) { p.options.report.dumpLayerInfo = true; }},
    {"--exportLayerInfo", "FILE", "the same as JSON",
     [](P p, V v) { p.options.report.exportLayerInfo = v; }},
    {"--dumpOptimizationProfile", "", "print the shapes of each profile",
     [](P p, V) { p.options.report.dumpOptimizationProfile = true; }},
    {"--saveDebugTensors", "NAME:FILE,…",
     "write tensors that layers wrote, as raw bytes, in a run after those timed",
     [](P p, V v) { p.options.report.debugFiles = namedFiles(v); }},
    {"--saveAllDebugTensors", "FORMATS",
     "the same of every tensor that a layer writes: summary (printed), numpy, raw, string (files "
     "0000_NAME.npy, .raw, .txt)",
     [](P p, V v) { p.options.report.debugFormats = debugFormats(v); }},
    {"--monitorMemory", "", "print the memory of process and device after each stage",
     [](P p, V) { p.options.report.monitorMemory = true; }},
    {"--exportTimes", "FILE", "every inference's times as JSON",
     [](P p, V v) { p.options.report.exportTimes = v; }},
    {"--dumpOutput", "", "print the last inference's outputs",
     [](P p, V) { p.options.report.dumpOutput = true; }},
    {"--exportOutput", "FILE", "the same as JSON",
     [](P p, V v) { p.options.report.exportOutput = v; }},
    {"--dumpRawBindingsToFile", "", "the last inference's inputs and outputs as files of raw bytes",
     [](P p, V) { p.options.report.dumpBindings = true; }},
};

constexpr Flag kSystem[] = {
    {"--device", "N", "0, the only device there is", [](P, V v) { wholeNumber(v, 0, 0); }},
    {"--getPlanVersionOnly", "", "say what wrote the engine of --loadEngine, and end",
     [](P p, V) { p.options.build.planVersionOnly = true; }},
    {"--version", "", "print the version", [](P p, V) { p.options.version = true; }},
    {"--help", "", "print this", [](P p, V) { p.options.help = true; }},
};

constexpr FlagGroup kGroups[] = {
    {"Model Options", kModel},         {"Build Options", kBuild},
    {"Inference Options", kInference}, {"Reporting Options", kReporting},
    {"System Options", kSystem},
};

// The text of `names`, wrapped below their reason.
std::string knownText(const KnownFlags& known) {
  constexpr size_t kWidth = 96;
  std::string text = fmt::format("  {}:\n", known.reason), line = "     ";
  for (std::string_view name : known.names) {
    name = name.substr(0, name.find('='));
    if (line.size() + 1 + name.size() > kWidth) text += std::exchange(line, "     ") + "\n";
    line += fmt::format(" {}", name);
  }
  return text + line + "\n";
}

}  // namespace

ProfileSpec& Parsing::currentProfile() {
  auto& profiles = options.build.profiles;
  if (profiles.size() <= static_cast<size_t>(profile)) profiles.resize(profile + 1);
  return profiles[profile];
}

ReferencePair& Parsing::currentPair() {
  auto& pairs = options.inference.pairs;
  if (pairs.size() <= static_cast<size_t>(pair)) pairs.resize(pair + 1);
  return pairs[pair];
}

bool Options::has(const std::string& flag) const {
  return std::ranges::find(given, flag) != given.end();
}

std::span<const FlagGroup> flagGroups() { return kGroups; }

std::string helpText() {
  std::string text =
      "usage: carnot exec --onnx=MODEL.onnx|--loadEngine=FILE.engine [options]\n\n"
      "Builds, runs and times an engine, with trtexec's flags and output. Values follow their "
      "flag\n"
      "after = or a space. -h and -v are short for --help and --verbose. The number of threads is "
      "that\nof CARNOT_THREADS, else of the cores allowed; an engine's, what it was tuned for.\n";
  for (const FlagGroup& group : flagGroups()) {
    text += fmt::format("\n=== {} ===\n", group.title);
    for (const Flag& flag : group.flags) {
      std::string left =
          fmt::format("  {}{}{}", flag.name, flag.value.empty() ? "" : "=", flag.value);
      text += fmt::format("{:<34} {}\n", left, flag.help);
    }
  }
  text += "\n=== Accepted without effect ===\n";
  for (const KnownFlags& known : idleFlags()) text += knownText(known);
  text += "\n=== Known but not in this build ===\n";
  for (const KnownFlags& known : refusedFlags()) text += knownText(known);
  return text;
}

}  // namespace carnot::cli::exec
