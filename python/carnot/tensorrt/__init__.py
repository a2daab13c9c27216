"""What `tensorrt` is to a script, over Carnot.

    import carnot.tensorrt as trt

Networks come from ONNX models (OnnxParser); engines are rebuilt for this machine (Builder) and run
on addresses of carnot.cuda's memory (IExecutionContext). The names of TensorRT 8.6, 10 and 11 live
side by side; enumerations have the values of 10.16. Wrong calls are logged with what is there, what
is needed and what to do, and give None or False.
"""

from . import _enums
from ._builder import Builder
from ._config import IBuilderConfig
from ._context import IExecutionContext
from ._engine import ICudaEngine, IRuntimeConfig, ISerializationConfig
from ._enums import *  # noqa: F403 - every enumeration
from ._enums import DataType
from ._inspector import EngineInspector
from ._interfaces import (IDebugListener, IErrorRecorder, IOutputAllocator, IProfiler,
                          IProgressMonitor, IStreamReader, IStreamReaderV2, IStreamWriter, Profiler)
from ._logger import ILogger, Logger, Severity
from ._network import ILayer, INetworkDefinition, ITensor
from ._parser import OnnxParser, ParserError
from ._plugins import (IPluginRegistry, get_builder_plugin_registry, get_plugin_registry,
                       init_libnvinfer_plugins)
from ._profile import IOptimizationProfile
from ._runtime import Runtime
from ._timing_cache import ITimingCache, TimingCacheKey, TimingCacheValue
from ._types import (Dims, Dims2, Dims3, Dims4, DimsHW, IHostMemory, Permutation, Weights, nptype,
                     volume)

__version__ = "10.16.0.0"

float32, float16, bfloat16 = DataType.FLOAT, DataType.HALF, DataType.BF16
int8, int32, int64, uint8 = DataType.INT8, DataType.INT32, DataType.INT64, DataType.UINT8
bool, fp8, int4, fp4, e8m0 = (DataType.BOOL, DataType.FP8, DataType.INT4, DataType.FP4,
                              DataType.E8M0)


def get_nv_onnx_parser_version() -> int:
    """The version that OnnxParser is shaped after: 10000 * major + 100 * minor."""
    return 101600


_ABSENT = {
    "IInt8": "calibration is not there yet; build at FP32 or FP16",
    "Refitter": "engines cannot be refitted yet; build again",
    "OnnxParserRefitter": "engines cannot be refitted yet; build again",
    "IPlugin": "plugins are not there yet; every operator that Carnot knows is built in",
    "IAlgorithm": "kernels cannot be selected by hand; the timing cache keeps the choice",
}


def __getattr__(name: str) -> object:
    for start, remedy in _ABSENT.items():
        if name.startswith(start):
            raise AttributeError(f"carnot.tensorrt has no {name}: {remedy}")
    raise AttributeError(f"carnot.tensorrt has no {name}")


__all__ = [
    *_enums.__all__, "Builder", "Dims", "Dims2", "Dims3", "Dims4", "DimsHW", "EngineInspector",
    "IBuilderConfig", "ICudaEngine", "IDebugListener", "IErrorRecorder", "IExecutionContext",
    "IHostMemory", "ILayer", "ILogger", "INetworkDefinition", "IOptimizationProfile",
    "IOutputAllocator", "IPluginRegistry", "IProfiler", "IProgressMonitor", "IRuntimeConfig",
    "ISerializationConfig", "IStreamReader", "IStreamReaderV2", "IStreamWriter", "ITensor",
    "ITimingCache", "Logger", "OnnxParser", "ParserError", "Permutation", "Profiler", "Runtime",
    "Severity", "TimingCacheKey", "TimingCacheValue", "Weights", "bfloat16", "bool", "e8m0",
    "float16", "float32", "fp4", "fp8", "get_builder_plugin_registry",
    "get_nv_onnx_parser_version", "get_plugin_registry", "init_libnvinfer_plugins", "int32",
    "int4", "int64", "int8", "nptype", "uint8", "volume",
]
