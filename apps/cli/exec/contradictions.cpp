#include "cli/exec/contradictions.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>

namespace carnot::cli::exec {

namespace {

struct Exclusion {
  const char *one, *other, *why;
};

// Two names of one thing exclude each other too.
constexpr Exclusion kExclusions[] = {
    {"--onnx", "--loadEngine", "an engine is built or loaded"},
    {"--saveEngine", "--loadEngine", "an engine that was loaded is a file already"},
    {"--noDataTransfers", "--includeDataTransfers", "copies are left out or not"},
    {"--useCudaGraph", "--noCudaGraph", "graphs are replayed or not"},
    {"--useSpinWait", "--noSpinWait", "waiting is busy or blocked"},
    {"--timingCacheFile", "--noBuilderCache", "times are kept or not"},
    {"--noBuilderCache", "--errorOnTimingCacheMiss", "times are kept or not"},
    {"--stronglyTyped", "--fp16", "the model's types are kept or not"},
    {"--stronglyTyped", "--bf16", "the model's types are kept or not"},
    {"--stronglyTyped", "--layerPrecisions", "the model's types are kept or not"},
    {"--stronglyTyped", "--layerOutputTypes", "the model's types are kept or not"},
    {"--stronglyTyped", "--best", "the model's types are kept or not"},
    {"--streams", "--infStreams", "they are one flag by two names"},
    {"--workspace", "--memPoolSize", "they are one limit by two names"},
    {"--profilingVerbosity", "--nvtxMode", "they are one flag by two names"},
    {"--getPlanVersionOnly", "--onnx", "it reads the engine of --loadEngine"},
};

std::vector<std::string> given(const Options& options, std::initializer_list<const char*> flags) {
  std::vector<std::string> found;
  std::ranges::copy_if(flags, std::back_inserter(found),
                       [&](const char* flag) { return options.has(flag); });
  return found;
}

void checkProfile(const ProfileSpec& profile, size_t index, size_t count,
                  std::vector<std::string>& problems) {
  std::string where = count > 1 ? fmt::format("profile {}: ", index) : "";
  if (profile.empty())
    problems.push_back(where +
                       "no shapes; needs --minShapes, --optShapes and --maxShapes after "
                       "its --profile=N");
  auto check = [&](const char* flag, const Shapes& shapes, const char* otherFlag,
                   const Shapes& other) {
    for (const auto& [name, dims] : shapes)
      if (!other.contains(name))
        problems.push_back(
            fmt::format("{}{} names {}, {} does not; needs both, or --optShapes "
                        "alone for a fixed shape",
                        where, flag, name, otherFlag));
  };
  check("--minShapes", profile.min, "--maxShapes", profile.max);
  check("--maxShapes", profile.max, "--minShapes", profile.min);
}

void checkReferences(const Options& options, std::vector<std::string>& problems) {
  const InferenceFlags& flags = options.inference;
  bool any = options.has("--loadRefOutputs");
  if (any && !flags.accuracyThreshold)
    problems.push_back("--loadRefOutputs: no bound; needs --accuracyThreshold=X");
  for (const char* flag : {"--accuracyThreshold", "--accuracyAlgorithm", "--atol", "--rtol"})
    if (!any && options.has(flag))
      problems.push_back(fmt::format("{}: nothing to compare; needs --loadRefOutputs", flag));
  if (!options.has("--refPair")) return;
  if (flags.pairs.size() < 2)
    problems.push_back("--refPair: one pair; needs two or more, or none named");
  for (size_t i = 0; i < flags.pairs.size(); ++i)
    if (flags.pairs[i].inputs.empty() || flags.pairs[i].outputs.empty())
      problems.push_back(fmt::format(
          "--refPair={}: not both sides; needs --loadInputs and --loadRefOutputs after it", i));
}

}  // namespace

void findContradictions(const Options& options, std::vector<std::string>& problems) {
  if (options.help || options.version) return;
  for (const Exclusion& pair : kExclusions)
    if (options.has(pair.one) && options.has(pair.other))
      problems.push_back(
          fmt::format("{} beside {}: {}; give one of them", pair.one, pair.other, pair.why));
  if (options.model.onnx.empty() && options.build.loadEngine.empty())
    problems.push_back("no model; needs --onnx=FILE or --loadEngine=FILE");
  if (options.build.errorOnCacheMiss && options.build.timingCacheFile.empty())
    problems.push_back("--errorOnTimingCacheMiss: no cache; needs --timingCacheFile=FILE");
  checkReferences(options, problems);
  const std::vector<ProfileSpec>& profiles = options.build.profiles;
  for (size_t i = 0; i < profiles.size(); ++i)
    checkProfile(profiles[i], i, profiles.size(), problems);
  size_t built = std::max<size_t>(profiles.size(), 1);
  if (options.inference.profile && options.build.loadEngine.empty() &&
      static_cast<size_t>(*options.inference.profile) >= built)
    problems.push_back(fmt::format("--useProfile={}: the engine has {} profile{}; needs 0 to {}",
                                   *options.inference.profile, built, built == 1 ? "" : "s",
                                   built - 1));
}

std::vector<std::string> buildFlagsGiven(const Options& options) {
  return given(options, {"--minShapes",
                         "--optShapes",
                         "--maxShapes",
                         "--fp16",
                         "--bf16",
                         "--best",
                         "--stronglyTyped",
                         "--noTF32",
                         "--roundAll",
                         "--precisionConstraints",
                         "--layerPrecisions",
                         "--layerOutputTypes",
                         "--workspace",
                         "--memPoolSize",
                         "--builderOptimizationLevel",
                         "--timingCacheFile",
                         "--noBuilderCache",
                         "--errorOnTimingCacheMiss",
                         "--tacticSources",
                         "--noFusion",
                         "--markDebug",
                         "--inputIOFormats",
                         "--outputIOFormats"});
}

std::vector<std::string> inferenceFlagsGiven(const Options& options) {
  return given(options, {"--dumpProfile", "--exportProfile", "--exportTimes", "--dumpOutput",
                         "--exportOutput", "--dumpRawBindingsToFile", "--loadInputs",
                         "--loadRefOutputs", "--saveDebugTensors", "--saveAllDebugTensors"});
}

}  // namespace carnot::cli::exec
