"""carnot.tensorrt's enumerations, types, loggers and interfaces."""

import numpy as np
import pytest

import carnot
import carnot.tensorrt as trt


@pytest.mark.parametrize("member, value", [
    ("DataType.FLOAT", 0), ("DataType.HALF", 1), ("DataType.BF16", 7), ("DataType.INT64", 8),
    ("DataType.E8M0", 11), ("float32", 0), ("int8", 2), ("bool", 4),
    ("BuilderFlag.FP16", 0), ("BuilderFlag.INT8", 1), ("BuilderFlag.TF32", 6),
    ("BuilderFlag.OBEY_PRECISION_CONSTRAINTS", 9), ("BuilderFlag.BF16", 17),
    ("BuilderFlag.STRIP_PLAN", 19), ("BuilderFlag.DISTRIBUTIVE_INDEPENDENCE", 28),
    ("NetworkDefinitionCreationFlag.EXPLICIT_BATCH", 0),
    ("NetworkDefinitionCreationFlag.STRONGLY_TYPED", 1),
    ("MemoryPoolType.WORKSPACE", 0), ("MemoryPoolType.TACTIC_SHARED_MEMORY", 5),
    ("ProfilingVerbosity.DETAILED", 2), ("LayerInformationFormat.JSON", 1),
    ("TensorIOMode.OUTPUT", 2), ("TensorLocation.HOST", 1), ("TensorFormat.HWC", 8),
    ("Logger.INTERNAL_ERROR", 0), ("Logger.VERBOSE", 4), ("ILogger.Severity.INFO", 3),
    ("LayerType.CONVOLUTION", 0), ("LayerType.CAST", 1), ("LayerType.SOFTMAX", 6),
    ("LayerType.NORMALIZATION", 45), ("LayerType.DIST_COLLECTIVE", 56),
    ("TacticSource.JIT_CONVOLUTIONS", 4), ("PreviewFeature.PROFILE_SHARING_0806", 0),
    ("ErrorCode.UNSUPPORTED_NODE", 8), ("ErrorCode.REFIT_FAILED", 14),
    ("ErrorCodeTRT.INVALID_STATE", 9), ("OnnxParserFlag.NATIVE_INSTANCENORM", 0),
    ("ExecutionContextAllocationStrategy.USER_MANAGED", 2),
])
def test_values_are_those_of_10_16(member, value):
    found = trt
    for part in member.split("."):
        found = getattr(found, part)
    assert int(found) == value and found.value == value


@pytest.mark.parametrize("kind, names", [
    (trt.BuilderFlag, ["STRICT_TYPES", "ENABLE_TACTIC_HEURISTIC"]),
    (trt.LayerType, ["FULLY_CONNECTED", "RNN_V2"]),
    (trt.PreviewFeature, ["FASTER_DYNAMIC_SHAPES_0805"]),
    (trt.NetworkDefinitionCreationFlag, ["EXPLICIT_PRECISION"]),
])
def test_names_of_other_versions_have_values_of_their_own(kind, names):
    for name in names:
        assert [other.name for other in kind if other == kind[name]] == [name]


def test_enumerations_look_as_upstream():
    assert str(trt.DataType.FLOAT) == f"{trt.float32}" == "DataType.FLOAT"
    assert repr(trt.BuilderFlag.FP16) == "<BuilderFlag.FP16: 0>"
    assert "TF32" in trt.BuilderFlag.__members__
    assert trt.EngineCapability.DEFAULT is trt.EngineCapability.STANDARD
    assert trt.__version__.startswith("10.16")
    assert trt.get_nv_onnx_parser_version() == 101600


@pytest.mark.parametrize("dtype, itemsize, numpy", [
    (trt.float32, 4, np.float32), (trt.float16, 2, np.float16), (trt.int8, 1, np.int8),
    (trt.int32, 4, np.int32), (trt.int64, 8, np.int64), (trt.bool, 1, np.bool_),
    (trt.uint8, 1, np.uint8), (trt.DataType.DOUBLE, 8, np.float64), (trt.bfloat16, 2, None),
    (trt.int4, 0.5, None), (trt.fp8, 1, None),
])
def test_element_types(dtype, itemsize, numpy):
    assert dtype.itemsize == itemsize and type(dtype.itemsize) is type(itemsize)
    if numpy:
        assert trt.nptype(dtype) is numpy
    else:
        with pytest.raises(TypeError, match="no equivalent"):
            trt.nptype(dtype)


def test_dims():
    dims = trt.Dims([1, 3, -1])
    assert dims == (1, 3, -1) == dims and dims == [1, 3, -1] and dims != (1, 3)
    assert len(dims) == 3 and dims[-1] == -1 and dims[:2] == (1, 3) and tuple(dims) == (1, 3, -1)
    dims[2] = 4
    dims[:2] = (5, 6)
    assert str(dims) == "(5, 6, 4)" and trt.volume(dims) == 120 and trt.volume(()) == 1
    assert np.empty(dims).shape == (5, 6, 4)
    assert trt.Dims4(1, 2, 3, 4) == trt.Dims4([1, 2, 3, 4]) and trt.Dims3() == (0, 0, 0)
    size = trt.DimsHW(2, 3)
    size.h = 7
    assert (size.h, size.w) == (7, 3) and trt.Permutation([1, 0])[0] == 1
    with pytest.raises(ValueError):
        trt.Dims2([1, 2, 3])
    with pytest.raises(TypeError):
        trt.Dims(["a"])
    with pytest.raises(IndexError):
        dims[3]


def test_weights():
    weights = trt.Weights(np.ones((2, 3), np.float16))
    assert (weights.dtype, weights.size, weights.nbytes, len(weights)) == (trt.float16, 6, 12, 6)
    assert weights.numpy().shape == (2, 3)
    assert trt.Weights(trt.int8).size == 0
    with pytest.raises(TypeError, match="complex128"):
        trt.Weights(np.ones(2, complex))


def test_loggers(capsys):
    logger = trt.Logger()
    assert logger.min_severity == trt.Logger.WARNING
    logger.log(trt.Logger.INFO, "unheard")
    logger.log(trt.Logger.ERROR, "heard")
    logger.min_severity = trt.Logger.VERBOSE
    logger.log(trt.Logger.Severity.VERBOSE, "fine")
    written = capsys.readouterr().err.splitlines()
    assert [line.partition("] ")[2] for line in written] == ["[TRT] [E] heard", "[TRT] [V] fine"]
    with pytest.raises(TypeError):
        trt.Logger(2)
    with pytest.raises(TypeError, match="ILogger"):
        trt.Builder(print)
    with pytest.raises(NotImplementedError, match="does not define log"):
        trt.Builder(trt.ILogger())


def test_the_device_is_told():
    from tensorrt_helpers import Recorder
    for make in (trt.Builder, trt.Runtime):
        logger = Recorder()
        made = make(logger)
        assert f"Carnot {carnot.__version__} on cpu" in logger.of(trt.Logger.INFO)
        assert made.logger is logger


@pytest.mark.parametrize("interface, call", [
    (trt.IProfiler, lambda i: i.report_layer_time("a", 1.0)),
    (trt.IProgressMonitor, lambda i: i.phase_start("a", None, 1)),
    (trt.IOutputAllocator, lambda i: i.reallocate_output("a", 0, 1, 1)),
    (trt.IErrorRecorder, lambda i: i.num_errors()),
    (trt.IStreamReader, lambda i: i.read(1)),
])
def test_interfaces_name_what_is_not_defined(interface, call):
    with pytest.raises(NotImplementedError, match="does not define"):
        call(type("Mine", (interface,), {})())


def test_plugins_are_none():
    assert trt.init_libnvinfer_plugins(None, "") is True
    registry = trt.get_plugin_registry()
    assert registry.plugin_creator_list == registry.all_creators == []
    assert registry.get_plugin_creator("Any", "1", "") is None
    assert trt.Builder(trt.Logger()).get_plugin_registry() is registry


@pytest.mark.parametrize("name, remedy", [
    ("IInt8EntropyCalibrator2", "FP16"), ("Refitter", "build again"), ("IPluginV3", "built in"),
    ("IAlgorithmSelector", "timing cache"), ("Nonsense", ""),
])
def test_names_that_are_not_there_say_why(name, remedy):
    assert not hasattr(trt, name)
    with pytest.raises(AttributeError, match=f"{name}.*{remedy}"):
        getattr(trt, name)
