"""Streams, events and runs on the device that is there: a GPU's go beside each other."""

import ctypes
import importlib.util
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper
from small_models import classifier, model_of, random, wanted
from tensorrt_helpers import Recorder, engine_of, infer

import carnot
import carnot.cuda as cuda
import carnot.tensorrt as trt

SHAPE = (3, 32, 32)
ON_CPU = cuda.device_kind() == "cpu"


@pytest.fixture
def logger():
    return Recorder()


@pytest.fixture(scope="module")
def engine():
    return engine_of(classifier(), Recorder(),
                     {"input": ((1, *SHAPE), (2, *SHAPE), (1024, *SHAPE))})


class Lane:
    """A context on a stream of its own, with page-locked memory."""

    def __init__(self, engine, batch):
        self.context, self.stream = engine.create_execution_context(), cuda.Stream()
        self.x = cuda.pagelocked_empty((batch, *SHAPE), np.float32)
        self.y = cuda.pagelocked_zeros((batch, 10), np.float32)
        self.x[...] = random(batch, *SHAPE)
        self.device = cuda.mem_alloc(self.x.nbytes), cuda.mem_alloc(self.y.nbytes)
        assert self.context.set_input_shape("input", self.x.shape)
        for name, memory in zip(("input", "output"), self.device):
            assert self.context.set_tensor_address(name, int(memory))

    def enqueue(self):
        cuda.memcpy_htod_async(self.device[0], self.x, self.stream)
        assert self.context.execute_async_v3(self.stream.handle)
        cuda.memcpy_dtoh_async(self.y, self.device[1], self.stream)

    def check(self):
        self.stream.synchronize()
        np.testing.assert_allclose(self.y, wanted(classifier(), input=self.x)["output"], atol=1e-5)
        self.y[...] = 0


def test_lanes_are_issued_before_either_is_waited_for(engine):
    lanes = [Lane(engine, 3), Lane(engine, 5)]
    for _ in range(4):
        for lane in lanes:
            lane.enqueue()
        for lane in lanes:
            lane.check()


@pytest.mark.skipif(ON_CPU, reason="work is done when the call returns")
def test_short_work_does_not_wait_for_long_work(engine):
    long, short = Lane(engine, 1024), Lane(engine, 1)
    for _ in range(3):
        long.enqueue(), short.enqueue()
    long.stream.synchronize(), short.stream.synchronize()
    start, end = cuda.Event(), cuda.Event()
    start.record(long.stream)
    for _ in range(200):
        long.enqueue()
    end.record(long.stream)
    short.enqueue()
    short.stream.synchronize()
    assert not end.query() and not long.stream.is_done()
    with pytest.raises(cuda.LogicError, match="not reached"):
        end.time_since(start)
    short.check()
    end.synchronize()
    assert end.query() and end.time_since(start) > 0
    long.check()


def test_events_order_streams(engine):
    lane, other, copied = Lane(engine, 2), cuda.Stream(), cuda.Event()
    lane.enqueue()
    lane.stream.synchronize()
    cuda.memset_d8_async(lane.device[0], 0, lane.x.nbytes, lane.stream)
    cuda.memcpy_htod_async(lane.device[0], lane.x, other)
    # The copy must come behind the fill, and the run behind the copy.
    copied.record(lane.stream)
    other.wait_for_event(copied)
    cuda.memcpy_htod_async(lane.device[0], lane.x, other)
    copied.record(other)
    lane.stream.wait_for_event(copied)
    consumed = cuda.Event()
    assert lane.context.set_input_consumed_event(consumed.handle)
    assert lane.context.execute_async_v3(lane.stream.handle)
    consumed.synchronize()
    cuda.memcpy_dtoh_async(lane.y, lane.device[1], lane.stream)
    lane.check()


def test_a_stream_destroyed_is_refused(engine, logger):
    lane = Lane(engine, 1)
    handle = cuda.Stream().handle
    with pytest.raises(cuda.LogicError, match="no stream of handle"):
        cuda.memcpy_htod_async(lane.device[0], lane.x, handle)
    if not ON_CPU:
        assert not lane.context.execute_async_v3(handle)


@pytest.mark.parametrize("dtype, onnx_type", [(np.float16, TensorProto.FLOAT16),
                                              (ml_dtypes.bfloat16, TensorProto.BFLOAT16)])
def test_inputs_and_outputs_of_sixteen_bits(logger, dtype, onnx_type):
    model = model_of([helper.make_node("Relu", ["x"], ["r"]),
                      helper.make_node("Add", ["r", "z"], ["y"])],
                     [("x", ["n", 8], onnx_type), ("z", ["n", 8], onnx_type)],
                     [("y", ["n", 8], onnx_type)])
    x, z = random(5, 8).astype(dtype), random(5, 9)[:, :8].astype(dtype)
    expected = (np.maximum(x, 0).astype(np.float32) + z.astype(np.float32)).astype(dtype)
    engine = carnot.build(model, device=cuda.device_kind(), optimization_level=0)
    found = engine.run({"x": x, "z": z})["y"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))
    context = engine_of(model, logger).create_execution_context()
    sets = [(cuda.to_device(x.tobytes()), cuda.to_device(z.tobytes()), cuda.mem_alloc(x.nbytes))
            for _ in range(4)]
    assert context.set_input_shape("x", x.shape) and context.set_input_shape("z", z.shape)
    for memory in sets * 3:
        cuda.memset_d8(memory[2], 0xff, x.nbytes)
        for name, address in zip("xzy", memory):
            assert context.set_tensor_address(name, int(address))
        assert context.execute_async_v3(0), logger.errors
        back = np.empty(x.nbytes, np.uint8)
        cuda.memcpy_dtoh(back, memory[2])
        assert back.tobytes() == expected.tobytes()


@pytest.mark.skipif(ON_CPU, reason="there is no other device")
def test_an_engine_of_the_cpu_beside_a_gpu_is_refused(logger):
    plan = carnot.build(classifier(), device="cpu", optimization_level=0).serialize()
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    assert engine.create_execution_context() is None
    assert "set CARNOT_DEVICE=cpu" in logger.errors


def test_faces_say_which_device_they_chose_and_why(logger):
    trt.Runtime(logger)
    said = logger.of(trt.Logger.INFO)
    assert f"on {cuda.device_kind()}: {cuda.Device(0).name()} (" in said
    assert any(text in said for text in ("a GPU is there", "no GPU can be used", "CARNOT_DEVICE says"))


def _cudart():
    folder = Path(importlib.util.find_spec("_carnot").origin).parent
    named = os.environ.get("CARNOT_CUDART")
    for path in [Path(named)] if named else [folder.parent / "shim" / "libcudart.so"]:
        if path.exists():
            return ctypes.CDLL(str(path))
    pytest.skip("no libcudart.so beside the module")


def test_cudart_copies_on_streams():
    cudart = _cudart()
    cudart.cudaFree.argtypes = cudart.cudaStreamDestroy.argtypes = [ctypes.c_void_p]
    stream, start, end, memory = (ctypes.c_void_p() for _ in range(4))
    assert cudart.cudaStreamCreate(ctypes.byref(stream)) == 0
    for event in (start, end):
        assert cudart.cudaEventCreate(ctypes.byref(event)) == 0
    x = cuda.pagelocked_empty(1 << 20, np.uint8)
    y = cuda.pagelocked_zeros(1 << 20, np.uint8)
    x[...] = np.arange(x.size) % 251
    assert cudart.cudaMalloc(ctypes.byref(memory), ctypes.c_size_t(x.size)) == 0
    address, size = ctypes.c_void_p, ctypes.c_size_t
    assert cudart.cudaEventRecord(start, stream) == 0
    assert cudart.cudaMemcpyAsync(memory, address(x.ctypes.data), size(x.size), 1, stream) == 0
    assert cudart.cudaMemcpyAsync(address(y.ctypes.data), memory, size(x.size), 2, stream) == 0
    assert cudart.cudaEventRecord(end, stream) == 0
    assert cudart.cudaStreamQuery(stream) in (0, 600)
    assert cudart.cudaStreamWaitEvent(None, end, 0) == 0
    assert cudart.cudaStreamSynchronize(stream) == 0
    np.testing.assert_array_equal(y, x)
    milliseconds = ctypes.c_float(-1)
    assert cudart.cudaEventElapsedTime(ctypes.byref(milliseconds), start, end) == 0
    assert milliseconds.value >= 0
    assert cudart.cudaMemsetAsync(memory, 7, size(x.size), stream) == 0
    assert cudart.cudaMemcpy(address(y.ctypes.data), memory, size(x.size), 4) == 0
    assert (y == 7).all()
    assert cudart.cudaStreamDestroy(stream) == 0
    assert cudart.cudaStreamSynchronize(stream) == 400
    assert cudart.cudaFree(memory) == 0
