"""The enumerations, with the values of TensorRT 10.16.

Names that other versions alone have are here too, with values that 10.16 leaves unused.
"""

from __future__ import annotations

from ._enum import Enum


class DataType(Enum):
    """Element types. From DOUBLE on: those of ONNX that TensorRT has no name for."""
    FLOAT = float32 = 0
    HALF = float16 = 1
    INT8 = int8 = 2
    INT32 = int32 = 3
    BOOL = bool = 4
    UINT8 = uint8 = 5
    FP8 = fp8 = 6
    BF16 = bfloat16 = 7
    INT64 = int64 = 8
    INT4 = int4 = 9
    FP4 = fp4 = 10
    E8M0 = e8m0 = 11
    DOUBLE, INT16, UINT16, UINT32, UINT64, FP8_E5M2, UINT4 = range(100, 107)

    @property
    def itemsize(self) -> float:
        """Bytes of an element: half a byte for types of four bits."""
        bits = _ITEM_BITS[self]
        return bits // 8 if bits >= 8 else bits / 8


_ITEM_BITS = {
    DataType.FLOAT: 32, DataType.HALF: 16, DataType.INT8: 8, DataType.INT32: 32, DataType.BOOL: 8,
    DataType.UINT8: 8, DataType.FP8: 8, DataType.BF16: 16, DataType.INT64: 64, DataType.INT4: 4,
    DataType.FP4: 4, DataType.E8M0: 8, DataType.DOUBLE: 64, DataType.INT16: 16,
    DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64, DataType.FP8_E5M2: 8,
    DataType.UINT4: 4,
}


class BuilderFlag(Enum):
    """What a build may use, or shall do."""
    FP16, INT8, DEBUG, GPU_FALLBACK, REFIT, DISABLE_TIMING_CACHE, TF32, SPARSE_WEIGHTS = range(8)
    (SAFETY_SCOPE, OBEY_PRECISION_CONSTRAINTS, PREFER_PRECISION_CONSTRAINTS, DIRECT_IO,
     REJECT_EMPTY_ALGORITHMS, VERSION_COMPATIBLE, EXCLUDE_LEAN_RUNTIME, FP8,
     ERROR_ON_TIMING_CACHE_MISS, BF16) = range(8, 18)
    (DISABLE_COMPILATION_CACHE, STRIP_PLAN, REFIT_IDENTICAL, WEIGHT_STREAMING, INT4,
     REFIT_INDIVIDUAL, STRICT_NANS, MONITOR_MEMORY, FP4, EDITABLE_TIMING_CACHE,
     DISTRIBUTIVE_INDEPENDENCE) = range(18, 29)
    WEIGHTLESS = 19
    STRICT_TYPES, ENABLE_TACTIC_HEURISTIC = 40, 41


class NetworkDefinitionCreationFlag(Enum):
    """Bits of create_network's argument, by position."""
    EXPLICIT_BATCH, STRONGLY_TYPED, PREFER_JIT_PYTHON_PLUGINS, PREFER_AOT_PYTHON_PLUGINS = range(4)
    EXPLICIT_PRECISION = 20


class MemoryPoolType(Enum):
    """Memory that a build or an engine may be limited in."""
    (WORKSPACE, DLA_MANAGED_SRAM, DLA_LOCAL_DRAM, DLA_GLOBAL_DRAM, TACTIC_DRAM,
     TACTIC_SHARED_MEMORY) = range(6)


class ProfilingVerbosity(Enum):
    """How much an engine tells of itself. Carnot's tell all."""
    LAYER_NAMES_ONLY = DEFAULT = 0
    NONE = 1
    DETAILED = VERBOSE = 2


class LayerInformationFormat(Enum):
    """How the inspector writes."""
    ONELINE, JSON = range(2)


class TensorIOMode(Enum):
    """What a tensor is to its engine."""
    NONE, INPUT, OUTPUT = range(3)


class TensorLocation(Enum):
    """Where a tensor's memory is."""
    DEVICE, HOST = range(2)


class TensorFormat(Enum):
    """How a tensor lies in memory. Inputs and outputs of Carnot's engines are LINEAR."""
    (LINEAR, CHW2, HWC8, CHW4, CHW16, CHW32, DHWC8, CDHW32, HWC, DLA_LINEAR, DLA_HWC4, HWC16,
     DHWC) = range(13)


class DeviceType(Enum):
    """What a layer runs on; GPU stands for the engine's device, whatever it is."""
    GPU, DLA = range(2)


class EngineCapability(Enum):
    """Restrictions that an engine keeps to."""
    STANDARD = DEFAULT = 0
    SAFETY = SAFE_GPU = 1
    DLA_STANDALONE = SAFE_DLA = 2


class TacticSource(Enum):
    """Libraries that kernels come from, as bits by position. Carnot's own are always used."""
    CUBLAS, CUBLAS_LT, CUDNN, EDGE_MASK_CONVOLUTIONS, JIT_CONVOLUTIONS = range(5)


class PreviewFeature(Enum):
    """Switches that change nothing here."""
    (PROFILE_SHARING_0806, ALIASED_PLUGIN_IO_10_03, RUNTIME_ACTIVATION_RESIZE_10_10,
     MULTIDEVICE_RUNTIME_10_16) = range(4)
    FASTER_DYNAMIC_SHAPES_0805, DISABLE_EXTERNAL_TACTIC_SOURCES_FOR_CORE_0805 = 40, 41


class HardwareCompatibilityLevel(Enum):
    """Which other devices an engine runs on."""
    NONE, AMPERE_PLUS, SAME_COMPUTE_CAPABILITY = range(3)


class RuntimePlatform(Enum):
    """Operating systems that an engine runs on."""
    SAME_AS_BUILD, WINDOWS_AMD64 = range(2)


class TilingOptimizationLevel(Enum):
    """How far tiling is searched."""
    NONE, FAST, MODERATE, FULL = range(4)


class QuantizationFlag(Enum):
    """How calibration goes about its work."""
    CALIBRATE_BEFORE_FUSION = 0


class ExecutionContextAllocationStrategy(Enum):
    """Who allocates the memory between layers. Carnot's contexts always do, by actual shape."""
    STATIC, ON_PROFILE_CHANGE, USER_MANAGED = range(3)


class SerializationFlag(Enum):
    """What a serialized engine leaves out."""
    EXCLUDE_WEIGHTS, EXCLUDE_LEAN_RUNTIME, INCLUDE_REFIT = range(3)


class TempfileControlFlag(Enum):
    """Where a runtime may put temporary files. Carnot's makes none."""
    ALLOW_IN_MEMORY_FILES, ALLOW_TEMPORARY_FILES = range(2)


class SeekPosition(Enum):
    """What IStreamReaderV2.seek counts from."""
    SET, CUR, END = range(3)


class OnnxParserFlag(Enum):
    """Switches of the parser, as bits by position; they change nothing here."""
    (NATIVE_INSTANCENORM, ENABLE_UINT8_AND_ASYMMETRIC_QUANTIZATION_DLA, REPORT_CAPABILITY_DLA,
     ENABLE_PLUGIN_OVERRIDE, ADJUST_FOR_DLA) = range(5)


class ErrorCode(Enum):
    """What kept a model from being parsed."""
    (SUCCESS, INTERNAL_ERROR, MEM_ALLOC_FAILED, MODEL_DESERIALIZE_FAILED, INVALID_VALUE,
     INVALID_GRAPH, INVALID_NODE, UNSUPPORTED_GRAPH, UNSUPPORTED_NODE, UNSUPPORTED_NODE_ATTR,
     UNSUPPORTED_NODE_INPUT, UNSUPPORTED_NODE_DATATYPE, UNSUPPORTED_NODE_DYNAMIC,
     UNSUPPORTED_NODE_SHAPE, REFIT_FAILED) = range(15)


class ErrorCodeTRT(Enum):
    """What an IErrorRecorder is told."""
    (SUCCESS, UNSPECIFIED_ERROR, INTERNAL_ERROR, INVALID_ARGUMENT, INVALID_CONFIG,
     FAILED_ALLOCATION, FAILED_INITIALIZATION, FAILED_EXECUTION, FAILED_COMPUTATION, INVALID_STATE,
     UNSUPPORTED_STATE) = range(11)


class LayerType(Enum):
    """What kind of layer it is."""
    (CONVOLUTION, CAST, ACTIVATION, POOLING, LRN, SCALE, SOFTMAX, DECONVOLUTION, CONCATENATION,
     ELEMENTWISE, PLUGIN, UNARY, PADDING, SHUFFLE, REDUCE, TOPK, GATHER, MATRIX_MULTIPLY,
     RAGGED_SOFTMAX, CONSTANT, IDENTITY, PLUGIN_V2, SLICE, SHAPE, PARAMETRIC_RELU, RESIZE,
     TRIP_LIMIT, RECURRENCE, ITERATOR, LOOP_OUTPUT, SELECT, FILL, QUANTIZE, DEQUANTIZE, CONDITION,
     CONDITIONAL_INPUT, CONDITIONAL_OUTPUT, SCATTER, EINSUM, ASSERTION, ONE_HOT, NON_ZERO,
     GRID_SAMPLE, NMS, REVERSE_SEQUENCE, NORMALIZATION, PLUGIN_V3, SQUEEZE, UNSQUEEZE, CUMULATIVE,
     DYNAMIC_QUANTIZE, ATTENTION_INPUT, ATTENTION_OUTPUT, ROTARY_EMBEDDING, KV_CACHE_UPDATE, MOE,
     DIST_COLLECTIVE) = range(57)
    FULLY_CONNECTED, RNN_V2 = 100, 101


__all__ = [name for name, value in list(globals().items())
           if isinstance(value, type) and issubclass(value, Enum) and value is not Enum]
