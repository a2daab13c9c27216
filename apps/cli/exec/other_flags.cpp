#include "cli/exec/flags.h"

namespace carnot::cli::exec {

namespace {

const std::vector<KnownFlags> kIdle = {
    {"every ONNX network's batch is explicit", {"--explicitBatch"}},
    {"the tuner decides how often it times a kernel", {"--minTiming=", "--avgTiming="}},
    {"the builder always orders candidates by estimates before it times them", {"--heuristic"}},
    {"there is no cache of compiled code to leave out", {"--noCompilationCache"}},
    {"engine files are mapped, not read", {"--asyncFileReader"}},
    {"memory follows the shapes that run", {"--allocationStrategy="}},
    {"inputs and outputs lie in the device's own memory, which on a CPU is the host's",
     {"--useManagedMemory"}},
    {"loops and products are cut for the caches at every level", {"--tilingOptimizationLevel="}},
    {"attention that no kernel takes whole is split into products and a softmax anyway",
     {"--decomposableAttentions"}},
    {"instance normalization has one implementation, which is no plugin's",
     {"--pluginInstanceNorm", "--pi"}},
    {"engines hold no plugin libraries and no runtime",
     {"--ignoreParsedPluginLibs", "--excludeLeanRuntime"}},
    {"every tensor that a layer writes can be saved, of engines built without it too",
     {"--markUnfusedTensorsAsDebugTensors"}},
    {"what TensorRT previewed is not switched here", {"--preview="}},
    {"an inference runs in one stream", {"--maxAuxStreams="}},
    {"no kernel reserves a part of the device's cache", {"--persistentCacheRatio="}},
    {"no temporary files are made", {"--tempdir=", "--tempfileControls="}},
};

const std::vector<KnownFlags> kRefused = {
    {"needs a reader of Caffe's or UFF's format, which is not in this build; convert to ONNX",
     {"--model=", "--deploy=", "--output=", "--uff=", "--uffInput=", "--uffNHWC"}},
    {"needs an implicit batch, which ONNX networks have not; give shapes with --optShapes, "
     "--shapes",
     {"--batch=", "--maxBatch="}},
    {"needs INT8, FP8 or INT4 arithmetic, which is not in this build",
     {"--int8", "--fp8", "--int4", "--calib=", "--calibProfile=", "--minShapesCalib=",
      "--optShapesCalib=", "--maxShapesCalib=", "--explicitPrecision"}},
    {"needs a DLA, which this machine's devices have not",
     {"--useDLACore=", "--allowGPUFallback", "--buildDLAStandalone", "--adjustForDLA",
      "--reportCapabilityDLA", "--uint8AsymmetricQuantizationDLA", "--layerDeviceTypes="}},
    {"needs plugins, which are not in this build",
     {"--plugins=", "--staticPlugins=", "--dynamicPlugins=", "--setPluginsToSerialize=",
      "--safetyPlugins=", "--enablePluginOverride"}},
    {"needs refittable engines, which are not in this build",
     {"--refit", "--dumpRefit", "--timeRefit", "--refitFromOnnx=", "--stripWeights",
      "--stripAllWeights", "--weightless"}},
    {"needs weight streaming, which is not in this build; weights are mapped and read when used",
     {"--allowWeightStreaming", "--weightStreamingBudget="}},
    {"needs other runtimes than the full one, which are not in this build; an engine loads in the "
     "same major version",
     {"--useRuntime=full", "--leanDLLPath=", "--versionCompatible", "--vc",
      "--runtimePlatform=SameAsBuild", "--hardwareCompatibilityLevel=none", "--cpuOnly"}},
    {"needs the safety-certified scope, which is not in this build",
     {"--safe", "--std", "--serialized=", "--restricted", "--consistency"}},
    {"needs a search over whole builds, which is not in this build",
     {"--setBuildRoute=", "--helpBuildRoute", "--tuneBuildRoutes=", "--tuneBuildRouteFile=",
      "--tuningSearch=", "--tuningTimeOut=", "--tuningCacheFile=", "--tuningResultFile=",
      "--saveAllEngines", "--dryRun", "--continue", "--remoteAutoTuningConfig="}},
    {"needs control over how kernels are chosen, which is not in this build",
     {"--maxTactics=", "--directIO", "--l2LimitForTiling=", "--distributiveIndependence"}},
    {"needs weights pruned by the builder, which would change results; kernels for dense weights "
     "take sparse ones",
     {"--sparsity=disable|enable"}},
    {"needs the text of kernels, which on a CPU are machine code from the start",
     {"--dumpKernelText"}},
};

}  // namespace

std::span<const KnownFlags> idleFlags() { return kIdle; }
std::span<const KnownFlags> refusedFlags() { return kRefused; }

}  // namespace carnot::cli::exec
