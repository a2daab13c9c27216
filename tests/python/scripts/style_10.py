"""As scripts for TensorRT 10 have it: cuda-python, tensors by name, profiles, caches, reports.

Usage: style_10.py MODEL INPUT.npy OUTPUT.npz
"""

import ctypes
import json
import sys

import numpy as np
import tensorrt as trt
from cuda import cuda, cudart


def check(result):
    error = result[0]
    if isinstance(error, cuda.CUresult) and error != cuda.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"Cuda Error: {error}")
    if isinstance(error, cudart.cudaError_t) and error != cudart.cudaError_t.cudaSuccess:
        raise RuntimeError(f"Cuda Runtime Error: {cudart.cudaGetErrorString(error)[1]}")
    return result[1] if len(result) == 2 else result[1:]


class HostDeviceMem:
    def __init__(self, size, dtype):
        nbytes = size * np.dtype(dtype).itemsize
        host_mem = check(cudart.cudaMallocHost(nbytes))
        pointer_type = ctypes.POINTER(np.ctypeslib.as_ctypes_type(dtype))
        self.host = np.ctypeslib.as_array(ctypes.cast(host_mem, pointer_type), (size,))
        self.device = check(cudart.cudaMalloc(nbytes))
        self.nbytes = nbytes

    def free(self):
        check(cudart.cudaFree(self.device))
        check(cudart.cudaFreeHost(self.host.ctypes.data))


class Progress(trt.IProgressMonitor):
    def __init__(self):
        trt.IProgressMonitor.__init__(self)
        self.open, self.seen = {}, []

    def phase_start(self, phase_name, parent_phase, num_steps):
        assert parent_phase is None or parent_phase in self.open
        self.open[phase_name] = num_steps
        self.seen.append(phase_name)

    def phase_finish(self, phase_name):
        del self.open[phase_name]

    def step_complete(self, phase_name, step):
        assert 0 <= step < self.open[phase_name]
        return True


class LayerTimes(trt.IProfiler):
    def __init__(self):
        trt.IProfiler.__init__(self)
        self.times = {}

    def report_layer_time(self, layer_name, ms):
        self.times[layer_name] = ms


def build(logger, model, cache_bytes):
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    with open(model, "rb") as f:
        if not parser.parse(f.read(), model):
            raise RuntimeError(str(parser.get_error(0)))
    config = builder.create_builder_config()
    config.builder_optimization_level = 2
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.NONE
    config.set_flag(trt.BuilderFlag.BF16)
    cache = config.create_timing_cache(cache_bytes)
    config.set_timing_cache(cache, ignore_mismatch=False)
    for low, best, high in ((1, 1, 1), (2, 4, 8)):
        profile = builder.create_optimization_profile()
        profile.set_shape("input", (low, 3, 32, 32), (best, 3, 32, 32), (high, 3, 32, 32))
        config.add_optimization_profile(profile)
    config.progress_monitor = monitor = Progress()
    plan = builder.build_serialized_network(network, config)
    assert not monitor.open and len(monitor.seen) > 5
    return plan, config.get_timing_cache().serialize()


def infer(engine, profile, x, profiler):
    context = engine.create_execution_context()
    stream = check(cudart.cudaStreamCreate())
    assert context.set_optimization_profile_async(profile, stream)
    memory = {}
    assert context.infer_shapes() == ["input"]
    assert context.set_input_shape("input", x.shape) and not context.infer_shapes()
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        shape = context.get_tensor_shape(name)
        memory[name] = HostDeviceMem(trt.volume(shape), trt.nptype(engine.get_tensor_dtype(name)))
        context.set_tensor_address(name, memory[name].device)
    memory["input"].host[:] = x.ravel()
    kind = cudart.cudaMemcpyKind
    for name, mem in memory.items():
        if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT:
            check(cudart.cudaMemcpyAsync(mem.device, mem.host, mem.nbytes,
                                         kind.cudaMemcpyHostToDevice, stream))
    context.profiler = profiler
    context.enqueue_emits_profile = False
    assert context.execute_async_v3(stream)
    assert context.report_to_profiler()
    out = memory["output"]
    check(cudart.cudaMemcpyAsync(out.host, out.device, out.nbytes, kind.cudaMemcpyDeviceToHost,
                                 stream))
    check(cudart.cudaStreamSynchronize(stream))
    y = out.host.reshape(context.get_tensor_shape("output")).copy()
    for mem in memory.values():
        mem.free()
    check(cudart.cudaStreamDestroy(stream))
    return y


def main(model, input_path, output_path):
    logger = trt.Logger(trt.Logger.WARNING)
    assert int(trt.__version__.split(".")[0]) >= 10
    plan, cache = build(logger, model, b"")
    again, same = build(logger, model, cache)
    assert bytes(plan) == bytes(again) and bytes(cache) == bytes(same)
    runtime = trt.Runtime(logger)
    engine = runtime.deserialize_cuda_engine(plan)
    assert engine.num_optimization_profiles == 2 and engine.num_bindings == 4
    inspector = engine.create_engine_inspector()
    layers = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON))["Layers"]
    assert len(layers) == engine.num_layers
    x, times = np.load(input_path), LayerTimes()
    many = infer(engine, 1, x, times)
    one = infer(engine, 0, x[:1], times)
    assert set(times.times) == {layer["Name"] for layer in layers}
    np.savez(output_path, output=many, one=one)


if __name__ == "__main__":
    main(*sys.argv[1:])
