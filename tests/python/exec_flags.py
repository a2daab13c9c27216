"""trtexec's flags, 8.6 to 11, as `carnot exec` must answer them."""

# Taken and obeyed: by flag, what to give beside a model (small.onnx unless another is named), and
# what shows that it was: a pattern of a line, or of a file that is written.
DYNAMIC = "--onnx=dynamic.onnx"
EFFECTS = {
    "--onnx": ("", r"Model: small\.onnx"),
    "--saveEngine": ("--saveEngine=flags.engine", "file flags.engine"),
    "--fp16": ("--fp16", r"Precision: FP32\+FP16$"),
    "--bf16": ("--bf16", r"Precision: FP32\+BF16$"),
    "--best": ("--best", r"Precision: FP32\+FP16\+BF16$"),
    "--noTF32": ("--noTF32", "TF32: Disabled"),
    "--roundAll": ("--roundAll", "Sensitive Layers: Rounded"),
    "--stronglyTyped": ("--stronglyTyped", "Precision: Strongly Typed"),
    "--precisionConstraints": ("--precisionConstraints=prefer --layerPrecisions=*:fp16",
                               "computes in float32, not float16"),
    "--layerPrecisions": ("--layerPrecisions=matmul:fp16 --precisionConstraints=prefer",
                          "matmul.* computes in float32, not float16"),
    "--layerOutputTypes": ("--layerOutputTypes=*:fp16", "nothing is made of them"),
    "--workspace": ("--workspace=64", "workspace: 64 MiB"),
    "--memPoolSize": ("--memPoolSize=workspace:0.5G", "workspace: 512 MiB"),
    "--builderOptimizationLevel": ("--builderOptimizationLevel=0", "Optimization Level: 0"),
    "--timingCacheFile": ("--timingCacheFile=flags.cache", "file flags.cache"),
    "--errorOnTimingCacheMiss": ("--timingCacheFile=known.cache --errorOnTimingCacheMiss",
                                 "Engine built in"),
    "--noBuilderCache": ("--noBuilderCache", "Timing Cache Mode: disable"),
    "--tacticSources": ("--tacticSources=-CUDNN,+CUBLAS", "--tacticSources has no effect on the CPU"),
    "--noFusion": ("--noFusion", "Fusion: Disabled"),
    "--markDebug": ("--markDebug=r", "output binding for r with dimensions 1x3x8x8"),
    "--skipInference": ("--skipInference", "Skipped inference phase"),
    "--buildOnly": ("--buildOnly", "Skipped inference phase"),
    "--profilingVerbosity": ("--profilingVerbosity=detailed --dumpLayerInfo", "LayerType: "),
    "--nvtxMode": ("--nvtxMode=detailed --dumpLayerInfo", "LayerType: "),
    "--inputIOFormats": ("--inputIOFormats=fp16:chw --dumpRawBindingsToFile",
                         "file x.input.1x3x8x8.float16.raw"),
    "--outputIOFormats": ("--outputIOFormats=fp16:chw --dumpRawBindingsToFile",
                          "file y.output.1x3x8x5.float16.raw"),
    "--minShapes": (DYNAMIC + " --minShapes=x:2x3x8x8 --maxShapes=x:4x3x8x8",
                    "x: min 2x3x8x8, opt -, max 4x3x8x8"),
    "--optShapes": (DYNAMIC + " --optShapes=x:2x3x8x8", "binding for x with dimensions 2x3x8x8"),
    "--maxShapes": (DYNAMIC + " --maxShapes=x:4x3x8x8 --minShapes=x:2x3x8x8",
                    "binding for x with dimensions 4x3x8x8"),
    "--profile": (DYNAMIC + " --profile=0 --optShapes=x:2x3x8x8 --profile=1 --optShapes=x:3x3x8x8",
                  r"Input build shapes \(profile 1\)"),
    "--shapes": (DYNAMIC + " --shapes=x:3x3x8x8", "binding for x with dimensions 3x3x8x8"),
    "--useProfile": (DYNAMIC + " --profile=0 --optShapes=x:2x3x8x8 --profile=1 "
                     "--optShapes=x:3x3x8x8 --useProfile=1", "binding for x with dimensions 3x3x8x8"),
    "--loadInputs": ("--loadInputs=x:x.bin", "values loaded from x.bin for input x"),
    "--loadRefOutputs": ("--loadInputs=x:x.bin --loadRefOutputs=y:y.bin --accuracyThreshold=1e-3",
                         "output y: l0 = 0, threshold 0.001: PASSED"),
    "--accuracyThreshold": ("--loadInputs=x:x.bin --loadRefOutputs=y:y.bin --accuracyThreshold=0.5",
                            "threshold 0.5: PASSED"),
    "--accuracyAlgorithm": ("--loadInputs=x:x.bin --loadRefOutputs=y:y.bin --accuracyThreshold=0.5 "
                            "--accuracyAlgorithm=lInf", "output y: lInf = "),
    "--refPair": ("--refPair=0 --loadInputs=x:x.bin --loadRefOutputs=y:y.bin "
                  "--refPair=1 --loadInputs=x:x.npy --loadRefOutputs=y:y.npy "
                  "--accuracyThreshold=0.5", "Pair 1, output y: l0 = 0"),
    "--atol": ("--loadInputs=x:x.bin --loadRefOutputs=y:off.bin --accuracyThreshold=1e-3 --atol=1",
               "l0 = 0, "),
    "--rtol": ("--loadInputs=x:x.bin --loadRefOutputs=y:off.bin --accuracyThreshold=1e-3 "
               "--rtol=1e6", "l0 = 0, "),
    "--iterations": ("--iterations=7 --duration=0 --warmUp=0", "Timing trace has 7 queries"),
    "--warmUp": ("--warmUp=30 --duration=0", r"Warmup completed [1-9]\d* queries over [3-9]\d"),
    "--duration": ("--duration=0.05 --warmUp=0", r"Timing trace has \d+ queries over 0\.[01]"),
    "--sleepTime": ("--sleepTime=1", "Sleep time: 1ms"),
    "--idleTime": ("--idleTime=1", "Idle time: 1ms"),
    "--infStreams": ("--infStreams=2", "Timing trace has 24 queries"),
    "--streams": ("--streams=2", "Timing trace has 24 queries"),
    "--exposeDMA": ("--exposeDMA", "ExposeDMA: Enabled"),
    "--threads": ("--threads --streams=2", "Multithreading: Enabled"),
    "--noDataTransfers": ("--noDataTransfers", "H2D Latency: min = 0 ms, max = 0 ms"),
    "--includeDataTransfers": ("--includeDataTransfers", "Data transfers: Enabled$"),
    "--useCudaGraph": ("--useCudaGraph", "--useCudaGraph has no effect on the CPU"),
    "--noCudaGraph": ("--noCudaGraph", "CUDA Graph: Disabled$"),
    "--useSpinWait": ("--useSpinWait", "--useSpinWait has no effect on the CPU"),
    "--noSpinWait": ("--noSpinWait", "Spin-wait: Disabled$"),
    "--separateProfileRun": ("--separateProfileRun --dumpProfile", "Starting a second run"),
    "--timeDeserialize": ("--timeDeserialize", "Total deserialization time = "),
    "--verbose": ("--verbose", "Explanations of the performance metrics ="),
    "--avgRuns": ("--avgRuns=3", "Average on 3 runs - GPU latency"),
    "--percentile": ("--percentile=50", r"percentile\(50%\) = "),
    "--dumpProfile": ("--dumpProfile", r"Time\(ms\) +Avg"),
    "--exportProfile": ("--exportProfile=profile.json", "file profile.json"),
    "--dumpLayerInfo": ("--dumpLayerInfo", "Layer Information:"),
    "--exportLayerInfo": ("--exportLayerInfo=layers.json", "file layers.json"),
    "--dumpOptimizationProfile": ("--dumpOptimizationProfile", "Optimization Profiles:"),
    "--exportTimes": ("--exportTimes=times.json", "file times.json"),
    "--dumpOutput": ("--dumpOutput", r"y: \(1x3x8x5\)"),
    "--exportOutput": ("--exportOutput=output.json", "file output.json"),
    "--dumpRawBindingsToFile": ("--dumpRawBindingsToFile", "file y.output.1x3x8x5.float32.raw"),
    "--saveDebugTensors": ("--saveDebugTensors=y:debug.raw", "file debug.raw"),
    "--saveAllDebugTensors": ("--saveAllDebugTensors=numpy,summary", "file 0000_y.npy"),
    "--monitorMemory": ("--monitorMemory", "Memory after inference: process .* MiB"),
    "--device": ("--device=0", "Device: 0"),
}

# Tested on their own: beside --onnx they contradict it.
ALONE = ["--loadEngine", "--getPlanVersionOnly", "--help"]

# Taken; a warning says that they change nothing. With other values some are refused.
HARMLESS = [
    "--explicitBatch", "--minTiming=2", "--avgTiming=4", "--heuristic", "--noCompilationCache",
    "--asyncFileReader", "--allocationStrategy=static", "--useManagedMemory",
    "--maxAuxStreams=2", "--persistentCacheRatio=0.5", "--tempdir=/tmp",
    "--tempfileControls=in_memory:allow", "--useRuntime=full",
    "--hardwareCompatibilityLevel=none", "--runtimePlatform=SameAsBuild", "--sparsity=disable",
    "--sparsity=enable", "--tilingOptimizationLevel=2", "--decomposableAttentions",
    "--pluginInstanceNorm", "--pi", "--ignoreParsedPluginLibs", "--excludeLeanRuntime",
    "--markUnfusedTensorsAsDebugTensors", "--preview=+profileSharing0806",
]  # fmt: skip

# Known, refused with a reason.
REFUSED = """
    --model --deploy --output --uff --uffInput --uffNHWC --batch --maxBatch --int8 --fp8 --int4
    --calib --calibProfile --minShapesCalib --optShapesCalib --maxShapesCalib --explicitPrecision
    --useDLACore --allowGPUFallback --buildDLAStandalone --adjustForDLA --reportCapabilityDLA
    --uint8AsymmetricQuantizationDLA --layerDeviceTypes --plugins --staticPlugins --dynamicPlugins
    --setPluginsToSerialize --safetyPlugins --enablePluginOverride --refit --dumpRefit --timeRefit
    --refitFromOnnx --stripWeights --stripAllWeights --weightless --allowWeightStreaming
    --weightStreamingBudget --useRuntime --leanDLLPath --versionCompatible --vc --runtimePlatform
    --hardwareCompatibilityLevel --cpuOnly --safe --std --serialized --restricted --consistency
    --setBuildRoute --helpBuildRoute --tuneBuildRoutes --tuneBuildRouteFile --tuningSearch
    --tuningTimeOut --tuningCacheFile --tuningResultFile --saveAllEngines --dryRun --continue
    --remoteAutoTuningConfig --maxTactics --sparsity --directIO --l2LimitForTiling
    --distributiveIndependence --dumpKernelText
""".split()

# Every flag of trtexec 8.6.1, 10.16 and 11.1, as their help texts name them.
PUBLISHED = """
    --accuracyAlgorithm --accuracyThreshold --adjustForDLA --allocationStrategy --allowGPUFallback
    --allowWeightStreaming --asyncFileReader --atol --avgRuns --avgTiming --batch --best --bf16
    --buildDLAStandalone --buildOnly --builderOptimizationLevel --calib --calibProfile
    --consistency --continue --cpuOnly --decomposableAttentions --deploy --device --directIO
    --distributiveIndependence --dryRun --dumpKernelText --dumpLayerInfo --dumpOptimizationProfile
    --dumpOutput --dumpProfile --dumpRawBindingsToFile --dumpRefit --duration --dynamicPlugins
    --enablePluginOverride --errorOnTimingCacheMiss --excludeLeanRuntime --explicitBatch
    --explicitPrecision --exportLayerInfo --exportOutput --exportProfile --exportTimes --exposeDMA
    --fp16 --fp8 --getPlanVersionOnly --hardwareCompatibilityLevel --help --helpBuildRoute
    --heuristic --idleTime --ignoreParsedPluginLibs --includeDataTransfers --infStreams
    --inputIOFormats --int4 --int8 --iterations --l2LimitForTiling --layerDeviceTypes
    --layerOutputTypes --layerPrecisions --leanDLLPath --loadEngine --loadInputs --loadRefOutputs
    --markDebug --markUnfusedTensorsAsDebugTensors --maxAuxStreams --maxBatch --maxShapes
    --maxShapesCalib --maxTactics --memPoolSize --minShapes --minShapesCalib --minTiming --model
    --monitorMemory --noBuilderCache --noCompilationCache --noCudaGraph --noDataTransfers
    --noSpinWait --noTF32 --nvtxMode --onnx --optShapes --optShapesCalib --output
    --outputIOFormats --percentile --persistentCacheRatio --pi --pluginInstanceNorm --plugins
    --precisionConstraints --preview --profile --profilingVerbosity --refPair --refit
    --refitFromOnnx --remoteAutoTuningConfig --reportCapabilityDLA --restricted --rtol
    --runtimePlatform --safe --safetyPlugins --saveAllDebugTensors --saveAllEngines
    --saveDebugTensors --saveEngine --separateProfileRun --serialized --setBuildRoute
    --setPluginsToSerialize --shapes --skipInference --sleepTime --sparsity --staticPlugins --std
    --streams --stripAllWeights --stripWeights --stronglyTyped --tacticSources --tempdir
    --tempfileControls --threads --tilingOptimizationLevel --timeDeserialize --timeRefit
    --timingCacheFile --tuneBuildRouteFile --tuneBuildRoutes --tuningCacheFile --tuningResultFile
    --tuningSearch --tuningTimeOut --uff --uffInput --uffNHWC --uint8AsymmetricQuantizationDLA
    --useCudaGraph --useDLACore --useManagedMemory --useProfile --useRuntime --useSpinWait --vc
    --verbose --versionCompatible --warmUp --weightStreamingBudget --weightless --workspace
""".split()
