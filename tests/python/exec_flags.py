"""trtexec's flags, 8.6 to 11, as `carnot exec` must answer them."""

# Taken and obeyed, with what to give beside a static model.
ACCEPTED = [
    "--onnx=small.onnx", "--saveEngine=flags.engine", "--fp16", "--bf16", "--best", "--noTF32",
    "--precisionConstraints=prefer", "--layerPrecisions=*:fp32",
    "--layerOutputTypes=*:fp32", "--stronglyTyped", "--workspace=64", "--memPoolSize=workspace:64", "--noBuilderCache",
    "--builderOptimizationLevel=0", "--timingCacheFile=flags.cache", "--skipInference",
    "--buildOnly", "--profilingVerbosity=detailed", "--nvtxMode=none", "--inputIOFormats=fp32:chw",
    "--outputIOFormats=fp32:chw", "--minShapes=x:1x3x8x8 --maxShapes=x:1x3x8x8",
    "--optShapes=x:1x3x8x8", "--maxShapes=x:1x3x8x8 --minShapes=x:1x3x8x8",
    "--profile=0 --optShapes=x:1x3x8x8", "--shapes=x:1x3x8x8", "--useProfile=0",
    "--loadInputs=x:x.bin", "--iterations=3", "--warmUp=1", "--duration=0.01", "--sleepTime=1",
    "--idleTime=1", "--infStreams=2", "--streams=2", "--threads", "--noDataTransfers",
    "--includeDataTransfers", "--useCudaGraph", "--noCudaGraph", "--useSpinWait", "--noSpinWait",
    "--separateProfileRun", "--timeDeserialize", "--verbose", "--avgRuns=2", "--percentile=50",
    "--dumpProfile", "--exportProfile=flags.json", "--dumpLayerInfo",
    "--exportLayerInfo=flags.json", "--dumpOptimizationProfile", "--exportTimes=flags.json", "--dumpOutput",
    "--exportOutput=flags.json", "--dumpRawBindingsToFile", "--device=0",
]  # fmt: skip

# Tested on their own: beside --onnx they contradict it.
ALONE = ["--loadEngine", "--getPlanVersionOnly", "--help"]

# Taken; a warning says that they change nothing. With other values some are refused.
HARMLESS = [
    "--explicitBatch", "--minTiming=2", "--avgTiming=4", "--heuristic", "--noCompilationCache",
    "--asyncFileReader", "--allocationStrategy=static", "--useManagedMemory", "--exposeDMA",
    "--maxAuxStreams=2", "--persistentCacheRatio=0.5", "--tempdir=/tmp",
    "--tempfileControls=in_memory:allow", "--useRuntime=full",
    "--hardwareCompatibilityLevel=none", "--runtimePlatform=SameAsBuild", "--sparsity=disable",
    "--tilingOptimizationLevel=0",
]  # fmt: skip

# Known, refused with a reason.
REFUSED = """
    --model --deploy --output --uff --uffInput --uffNHWC --batch --maxBatch
    --int8 --fp8 --int4 --calib --calibProfile --minShapesCalib --optShapesCalib --maxShapesCalib
    --explicitPrecision
    --useDLACore --allowGPUFallback --buildDLAStandalone --adjustForDLA --reportCapabilityDLA
    --uint8AsymmetricQuantizationDLA --layerDeviceTypes
    --plugins --staticPlugins --dynamicPlugins --setPluginsToSerialize --safetyPlugins
    --ignoreParsedPluginLibs --enablePluginOverride --pluginInstanceNorm --pi
    --refit --dumpRefit --timeRefit --refitFromOnnx --stripWeights --stripAllWeights --weightless
    --allowWeightStreaming --weightStreamingBudget --useRuntime --leanDLLPath --excludeLeanRuntime
    --versionCompatible --vc --runtimePlatform --hardwareCompatibilityLevel --cpuOnly
    --safe --std --serialized --restricted --consistency
    --loadRefOutputs --accuracyAlgorithm --accuracyThreshold --refPair --atol --rtol
    --markDebug --saveDebugTensors --saveAllDebugTensors --markUnfusedTensorsAsDebugTensors
    --setBuildRoute --helpBuildRoute --tuneBuildRoutes --tuneBuildRouteFile --tuningSearch
    --tuningTimeOut --tuningCacheFile --tuningResultFile --saveAllEngines --dryRun --continue
    --remoteAutoTuningConfig --tacticSources --maxTactics --preview --sparsity --directIO
    --tilingOptimizationLevel --l2LimitForTiling --errorOnTimingCacheMiss
    --distributiveIndependence --decomposableAttentions --dumpKernelText --monitorMemory
""".split()
