"""Engines and contexts: what they say, shapes, profiles, runs on many threads."""

import threading

import numpy as np
import pytest
from small_models import classifier, random, two_inputs, wanted
from tensorrt_fixtures import (  # noqa: F401
    RANGES, SHAPE, X, Memory, context, engine, expected, logger, plan,
)
from tensorrt_helpers import engine_of, infer

import carnot.cuda as cuda
import carnot.tensorrt as trt

STREAM = cuda.Stream()


def test_what_an_engine_says(engine, logger):
    assert (engine.name, engine.num_io_tensors, engine.num_optimization_profiles) == (
        "classifier", 2, 2)
    assert [engine.get_tensor_name(i) for i in range(2)] == ["input", "output"]
    assert engine.get_tensor_mode("input") == trt.TensorIOMode.INPUT
    assert engine.get_tensor_mode("output") == trt.TensorIOMode.OUTPUT
    assert engine.get_tensor_shape("input") == (-1, *SHAPE)
    assert engine.get_tensor_dtype("output") == trt.float32
    assert engine.get_tensor_location("input") == trt.TensorLocation.DEVICE
    assert engine.get_tensor_format("input") == trt.TensorFormat.LINEAR
    assert "float32" in engine.get_tensor_format_desc("input", 0)
    assert engine.get_tensor_vectorized_dim("input") == -1
    assert engine.get_tensor_bytes_per_component("input") == -1
    assert engine.get_tensor_components_per_element("input", 0) == -1
    assert engine.get_tensor_profile_shape("input", 1) == [(2, *SHAPE), (4, *SHAPE), (8, *SHAPE)]
    assert engine.get_tensor_profile_values("input", 0) == []
    assert not engine.is_shape_inference_io("input")
    assert engine.num_layers > 3 and not engine.refittable and engine.num_aux_streams == 0
    assert engine.profiling_verbosity == trt.ProfilingVerbosity.DETAILED
    assert engine.engine_capability == trt.EngineCapability.STANDARD
    assert 0 < engine.get_device_memory_size_for_profile(0) <= engine.device_memory_size
    assert engine.device_memory_size_v2 == engine.device_memory_size
    assert not engine.has_implicit_batch_dimension and engine.max_batch_size == 1
    assert not logger.errors


def test_bindings_by_index(engine):
    assert engine.num_bindings == len(engine) == 4
    assert list(engine) == ["input", "output", "input [profile 1]", "output [profile 1]"]
    assert engine[0] == "input" and engine["output"] == 1 and engine[-1] == "output [profile 1]"
    assert engine.get_binding_index("input [profile 1]") == 2 == engine["input [profile 1]"]
    assert engine.get_binding_index("absent") == -1
    assert engine.binding_is_input(2) and not engine.binding_is_input("output")
    assert engine.get_binding_shape(2) == (-1, *SHAPE) == engine.get_binding_shape("input")
    assert engine.get_binding_dtype(1) == trt.float32
    assert engine.get_location(0) == trt.TensorLocation.DEVICE
    assert engine.get_profile_shape(1, "input")[0] == (2, *SHAPE)
    assert engine.get_profile_shape(profile_index=0, binding=0)[2] == (4, *SHAPE)
    assert not engine.is_shape_binding(0) and engine.is_execution_binding(0)
    with pytest.raises(IndexError):
        engine[4]


@pytest.mark.parametrize("ask, answer, part", [
    (lambda e: e.get_tensor_name(2), "", "0 to 1"),
    (lambda e: e.get_tensor_shape("absent"), (), "'absent'"),
    (lambda e: e.get_tensor_mode("absent"), trt.TensorIOMode.NONE, "one of: input, output"),
    (lambda e: e.get_tensor_profile_shape("output", 0), [], "is an output"),
    (lambda e: e.get_tensor_profile_shape("input", 2), [], "profile 2"),
    (lambda e: e.get_binding_name(9), "", "0 to 3"),
    (lambda e: e.get_binding_shape(-1), (), "binding -1"),
    (lambda e: e.create_engine_inspector().get_layer_information(
        99, trt.LayerInformationFormat.JSON), "", "layer 99"),
    (lambda e: e.get_device_memory_size_for_profile(7), 0, "7"),
])
def test_questions_that_have_no_answer(engine, logger, ask, answer, part):
    assert ask(engine) == answer
    assert part in logger.errors


def test_shapes_follow_the_inputs(context, logger):
    assert context.get_tensor_shape("input") == (-1, *SHAPE)
    assert context.get_tensor_shape("output") == (-1, 10)
    assert context.infer_shapes() == ["input"] and not context.all_binding_shapes_specified
    for batch in (1, 4, 2):
        assert context.set_input_shape("input", trt.Dims([batch, *SHAPE]))
        assert context.get_tensor_shape("output") == (batch, 10)
    assert context.get_tensor_strides("input") == (3072, 1024, 32, 1)
    assert context.infer_shapes() == [] and context.all_shape_inputs_specified
    assert context.get_max_output_size("output") == 4 * 10 * 4
    assert context.update_device_memory_size_for_shapes() > 0
    assert not logger.errors


@pytest.mark.parametrize("name, shape, parts", [
    ("input", (5, *SHAPE), ["(5, 3, 32, 32)", "(1, 3, 32, 32) to (4, 3, 32, 32)", "profile 0"]),
    ("input", (0, *SHAPE), ["(0, 3, 32, 32)"]),
    ("input", (1, 3, 32), ["(1, 3, 32)", "(-1, 3, 32, 32)"]),
    ("input", (1, 4, 32, 32), ["(1, 4, 32, 32)", "(-1, 3, 32, 32)"]),
    ("input", (-1, *SHAPE), ["(-1, 3, 32, 32) for input"]),
    ("output", (1, 10), ["output is an output"]),
    ("absent", (1, 10), ["no tensor named 'absent'"]),
])
def test_shapes_that_are_refused(context, logger, name, shape, parts):
    assert context.set_input_shape(name, shape) is False
    for part in parts:
        assert part in logger.errors
    assert context.infer_shapes() == ["input"]


def test_profiles_are_switched(context, logger, expected):
    assert context.active_optimization_profile == 0
    assert context.set_input_shape("input", X.shape)
    assert context.set_optimization_profile_async(1, 0)
    assert context.active_optimization_profile == 1 and context.infer_shapes() == ["input"]
    assert not context.set_input_shape("input", (1, *SHAPE))
    assert context.set_input_shape("input", (8, *SHAPE))
    assert context.get_max_output_size("output") == 320
    assert not context.set_optimization_profile_async(2, 0) and "profile 2" in logger.errors
    np.testing.assert_allclose(infer(context, input=X)["output"], expected, atol=1e-5)
    memory = Memory()
    context.set_binding_shape(2, X.shape)
    assert context.execute_v2([0, 0, *memory.bindings])
    np.testing.assert_allclose(memory.output(), expected, atol=1e-5)
    assert not context.set_binding_shape(0, X.shape) and "binding 0 is of profile 0" in logger.errors
    context.active_optimization_profile = 0
    assert context.set_input_shape("input", (1, *SHAPE))


@pytest.mark.parametrize("run", [
    lambda c, m: c.execute_v2(m.bindings), lambda c, m: c.execute_v2([m.x, m.y]),
    lambda c, m: c.execute_v2(bindings=np.array(m.bindings)),
    lambda c, m: c.execute_async_v2(m.bindings, STREAM.handle),
    lambda c, m: c.execute(1, m.bindings), lambda c, m: c.execute(batch_size=3, bindings=m.bindings),
    lambda c, m: c.execute_async(1, m.bindings, STREAM.handle),
    lambda c, m: (c.set_tensor_address("input", int(m.x)) and c.set_tensor_address("output", int(m.y))
                  and c.execute_async_v3(0)),
])
def test_every_way_to_run(context, logger, expected, run):
    memory = Memory()
    assert context.set_binding_shape(0, X.shape)
    assert run(context, memory) is True, logger.errors
    np.testing.assert_allclose(memory.output(), expected, atol=1e-5)
    assert not logger.errors


def test_shapes_that_contradict_each_other(logger):
    context = engine_of(two_inputs(), logger).create_execution_context()
    assert context.set_input_shape("a", (2, 4)) and context.set_input_shape("b", (3, 4))
    with pytest.raises(RuntimeError):
        context.infer_shapes()
    assert context.get_tensor_shape("total") == () and logger.errors
    a, b = random(5, 4), random(5, 4, scale=2)
    outputs = infer(context, a=a, b=b)
    for name, array in wanted(two_inputs(), a=a, b=b).items():
        np.testing.assert_allclose(outputs[name], array, atol=1e-5)


def test_any_shape_runs_without_a_profile(logger):
    engine = engine_of(classifier(), logger)
    assert "no profile" in logger.of(trt.Logger.WARNING) and not logger.errors
    assert engine.num_optimization_profiles == 1 and engine.num_bindings == 2
    context = engine.create_execution_context()
    for batch in (1, 7, 2):
        x = random(batch, *SHAPE)
        np.testing.assert_allclose(infer(context, input=x)["output"],
                                   wanted(classifier(), input=x)["output"], atol=1e-5)


def test_empty_batches(logger):
    context = engine_of(two_inputs(), logger).create_execution_context()
    outputs = infer(context, a=np.zeros((0, 4), np.float32), b=np.zeros((0, 4), np.float32))
    assert outputs["total"].shape == (0, 4) and outputs["product"].shape == (0, 0)


def test_contexts_keep_what_is_set(engine, context, logger):
    context.name, context.debug_sync = "first", True
    context.nvtx_verbosity = trt.ProfilingVerbosity.NONE
    context.persistent_cache_limit = 5
    context.device_memory = 64
    assert context.engine is engine and context.device_memory == 64
    assert context.set_input_consumed_event(3) and context.get_input_consumed_event() == 3
    with pytest.raises(AttributeError):
        context.misspelt = 1
    strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
    other = engine.create_execution_context(strategy)
    other.set_device_memory(64, 4096)
    config = other.get_runtime_config()
    assert config.get_execution_context_allocation_strategy() == strategy
    assert engine.create_execution_context_without_device_memory()
    config = engine.create_runtime_config()
    assert engine.create_execution_context(runtime_config=config).get_runtime_config() is config
    assert not logger.errors


def test_contexts_outlive_their_engine(logger, expected):
    context = engine_of(classifier(), logger, RANGES).create_execution_context()
    np.testing.assert_allclose(infer(context, input=X)["output"], expected, atol=1e-5)


def test_contexts_on_many_threads(engine, expected):
    results = [None] * 4

    def work(index):
        context = engine.create_execution_context()
        for _ in range(5):
            results[index] = infer(context, input=X)["output"]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_one_context_on_many_threads_never_breaks(context, logger, expected):
    memory = Memory()
    context.set_input_shape("input", X.shape)

    def work():
        for _ in range(50):
            context.execute_v2(memory.bindings)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if logger.errors:
        assert "in use by another thread" in logger.errors
    assert context.execute_v2(memory.bindings)
    np.testing.assert_allclose(memory.output(), expected, atol=1e-5)


@pytest.mark.parametrize("device, refused", [("cpu", False), ("abacus", True)])
def test_a_device_that_is_not_there_is_refused(logger, monkeypatch, device, refused):
    data = engine_of(two_inputs(), logger).serialize()
    monkeypatch.setenv("CARNOT_DEVICE", device)
    engine = engine_of(two_inputs(), logger)
    assert (engine is None) == refused == ("CARNOT_DEVICE is abacus" in logger.errors)
    assert (trt.Runtime(logger).deserialize_cuda_engine(data) is None) == refused


def test_weights_are_not_streamed(engine, logger):
    assert engine.streamable_weights_size == engine.weight_streaming_budget_v2 == 0
    engine.weight_streaming_budget_v2 = 0
    assert not logger.errors
    engine.weight_streaming_budget_v2 = 5
    assert "weight streaming" in logger.errors
