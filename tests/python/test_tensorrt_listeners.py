"""Profilers, inspectors, output allocators and debug listeners."""

import ctypes
import json

import numpy as np
import onnx
import pytest
from small_models import classifier, wanted
from tensorrt_fixtures import X, Memory, context, engine, expected, logger, plan  # noqa: F401

import carnot.cuda as cuda
import carnot.tensorrt as trt


class Times(trt.IProfiler):
    def __init__(self):
        super().__init__()
        self.runs, self.times = 0, {}

    def report_layer_time(self, layer_name, ms):
        assert ms >= 0
        self.times[layer_name] = ms


def test_profilers(engine, context, logger, capsys):
    memory = Memory()
    context.set_input_shape("input", X.shape)
    context.profiler = times = Times()
    assert context.execute_v2(memory.bindings)
    layers = json.loads(engine.create_engine_inspector().get_engine_information(
        trt.LayerInformationFormat.JSON))["Layers"]
    assert list(times.times) == [layer["Name"] for layer in layers]
    times.times.clear()
    context.enqueue_emits_profile = False
    assert context.execute_async_v2(memory.bindings, 0) and not times.times
    assert context.report_to_profiler() and len(times.times) == engine.num_layers
    assert not context.report_to_profiler() and "no run to report" in logger.errors
    context.profiler = trt.Profiler()
    assert context.execute_v2(memory.bindings)
    assert len(capsys.readouterr().out.splitlines()) == engine.num_layers
    context.profiler = None
    assert context.execute_v2(memory.bindings) and context.profiler is None


def test_inspectors(engine):
    inspector = engine.create_engine_inspector()
    whole = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
    assert whole["Bindings"] == ["input", "output"] and len(whole["Layers"]) == engine.num_layers
    first = json.loads(inspector.get_layer_information(0, trt.LayerInformationFormat.JSON))
    assert first == whole["Layers"][0]
    assert {"Name", "LayerType", "Inputs", "Outputs", "TacticName", "Metadata"} <= set(first)
    line = inspector.get_layer_information(0, trt.LayerInformationFormat.ONELINE)
    text = inspector.get_engine_information(trt.LayerInformationFormat.ONELINE)
    assert "\n" not in line and line in text and text.endswith("Bindings:\ninput\noutput")
    with pytest.raises(TypeError):
        inspector.get_engine_information("JSON")


class Allocator(trt.IOutputAllocator):
    def __init__(self, generous=True):
        super().__init__()
        self.generous, self.asked, self.shapes, self.memory = generous, [], {}, None

    def reallocate_output(self, tensor_name, memory, size, alignment):
        self.asked.append((tensor_name, memory, size))
        if self.generous:
            self.memory = cuda.mem_alloc(size)
            return int(self.memory)

    def notify_shape(self, tensor_name, shape):
        self.shapes[tensor_name] = tuple(shape)


def test_output_allocators(context, logger, expected):
    allocator, x = Allocator(), cuda.to_device(X)
    context.set_input_shape("input", X.shape)
    context.set_tensor_address("input", int(x))
    assert context.set_output_allocator("output", allocator)
    assert context.get_output_allocator("output") is allocator
    assert context.execute_async_v3(0)
    assert allocator.asked == [("output", 0, 120)] and allocator.shapes == {"output": (3, 10)}
    np.testing.assert_allclose(cuda.from_device(allocator.memory, (3, 10), np.float32), expected,
                               atol=1e-5)
    assert context.set_output_allocator("output", Allocator(generous=False))
    assert not context.execute_async_v3(0) and "gave no memory" in logger.errors
    assert context.set_output_allocator("output", None)
    assert context.get_output_allocator("output") is None
    assert not context.set_output_allocator("input", allocator)
    with pytest.raises(TypeError):
        context.set_output_allocator("output", lambda: 0)


class Listener(trt.IDebugListener):
    def __init__(self):
        super().__init__()
        self.heard = {}

    def process_debug_tensor(self, addr, location, type, shape, name, stream):
        assert location == trt.TensorLocation.HOST and type == trt.float32
        floats = ctypes.cast(addr, ctypes.POINTER(ctypes.c_float))
        self.heard[name] = np.ctypeslib.as_array(floats, tuple(shape)).copy()


def test_debug_listeners(engine, context, logger):
    model = onnx.load_from_string(classifier())
    between = [name for name in ("r1", "pooled", "logits") if engine.is_debug_tensor(name)]
    assert between and not engine.is_debug_tensor("output")
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in between)
    truth = wanted(model.SerializeToString(), input=X)
    memory, listener = Memory(), Listener()
    context.set_input_shape("input", X.shape)
    assert context.set_debug_listener(listener) and context.get_debug_listener() is listener
    assert context.execute_v2(memory.bindings) and not listener.heard
    assert context.set_tensor_debug_state(between[0], True) and context.get_debug_state(between[0])
    assert context.execute_v2(memory.bindings) and list(listener.heard) == [between[0]]
    context.unfused_tensors_debug_state = True
    assert context.execute_v2(memory.bindings) and set(between) <= set(listener.heard)
    for name in between:
        np.testing.assert_allclose(listener.heard[name], truth[name], atol=1e-4)
    np.testing.assert_allclose(memory.output(), truth["output"], atol=1e-5)
    assert context.set_all_tensors_debug_state(False)
    assert not context.set_tensor_debug_state("absent", True) and "'absent'" in logger.errors
    assert context.set_debug_listener(None) and context.execute_v2(memory.bindings)


def test_what_a_debug_listener_raises_is_raised(context):
    memory = Memory()
    context.set_input_shape("input", X.shape)
    context.set_debug_listener(trt.IDebugListener())
    context.unfused_tensors_debug_state = True
    with pytest.raises(NotImplementedError):
        context.execute_v2(memory.bindings)
    context.set_debug_listener(None)
    assert context.execute_v2(memory.bindings)
