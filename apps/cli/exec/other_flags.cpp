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
    {"the device's memory is the host's", {"--useManagedMemory"}},
    {"copies to and from the device follow one another already", {"--exposeDMA"}},
    {"an inference runs in one stream", {"--maxAuxStreams="}},
    {"there is no cache on the device to reserve", {"--persistentCacheRatio="}},
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
      "--safetyPlugins=", "--ignoreParsedPluginLibs", "--enablePluginOverride",
      "--pluginInstanceNorm", "--pi"}},
    {"needs refittable engines, which are not in this build",
     {"--refit", "--dumpRefit", "--timeRefit", "--refitFromOnnx=", "--stripWeights",
      "--stripAllWeights", "--weightless"}},
    {"needs weight streaming, which is not in this build; weights are mapped and read when used",
     {"--allowWeightStreaming", "--weightStreamingBudget="}},
    {"needs other runtimes than the full one, which are not in this build; an engine loads in the "
     "same major version",
     {"--useRuntime=full", "--leanDLLPath=", "--excludeLeanRuntime", "--versionCompatible", "--vc",
      "--runtimePlatform=SameAsBuild", "--hardwareCompatibilityLevel=none", "--cpuOnly"}},
    {"needs the safety-certified scope, which is not in this build",
     {"--safe", "--std", "--serialized=", "--restricted", "--consistency"}},
    {"needs outputs compared with references, which is not in this build; --exportOutput writes "
     "them, and carnot compare runs a model beside onnxruntime",
     {"--loadRefOutputs=", "--accuracyAlgorithm=", "--accuracyThreshold=", "--refPair=", "--atol=",
      "--rtol="}},
    {"needs debug tensors, which are not in this build",
     {"--markDebug=", "--saveDebugTensors=", "--saveAllDebugTensors=",
      "--markUnfusedTensorsAsDebugTensors"}},
    {"needs a search over whole builds, which is not in this build",
     {"--setBuildRoute=", "--helpBuildRoute", "--tuneBuildRoutes=", "--tuneBuildRouteFile=",
      "--tuningSearch=", "--tuningTimeOut=", "--tuningCacheFile=", "--tuningResultFile=",
      "--saveAllEngines", "--dryRun", "--continue", "--remoteAutoTuningConfig="}},
    {"needs control over how kernels are chosen, which is not in this build",
     {"--tacticSources=", "--maxTactics=", "--preview=", "--sparsity=disable", "--directIO",
      "--tilingOptimizationLevel=0", "--l2LimitForTiling=", "--errorOnTimingCacheMiss",
      "--distributiveIndependence", "--decomposableAttentions"}},
    {"needs a look inside the device, which is not in this build",
     {"--dumpKernelText", "--monitorMemory"}},
};

}  // namespace

std::span<const KnownFlags> idleFlags() { return kIdle; }
std::span<const KnownFlags> refusedFlags() { return kRefused; }

}  // namespace carnot::cli::exec
