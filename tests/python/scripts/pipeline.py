"""ONNX to engine to inference, as tutorials for TensorRT write it.

Usage: pipeline.py MODEL FP16_OR_FP32 INPUT.npy OUTPUT.npz ENGINE. The model has an input "input" of
[batch, 3, 32, 32] and an output "output" of [batch, 10].
"""

import sys

import numpy as np
import pycuda.autoinit
import pycuda.driver as cuda
import tensorrt as trt

TRT_LOGGER = trt.Logger(trt.Logger.INFO)


def build_engine(onnx_path, engine_path, precision="fp16", max_batch=8):
    builder = trt.Builder(TRT_LOGGER)
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    )
    parser = trt.OnnxParser(network, TRT_LOGGER)
    with open(onnx_path, "rb") as f:
        parser.parse(f.read())

    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 30)

    if precision == "fp16":
        config.set_flag(trt.BuilderFlag.FP16)

    profile = builder.create_optimization_profile()
    profile.set_shape("input", min=(1, 3, 32, 32), opt=(4, 3, 32, 32), max=(max_batch, 3, 32, 32))
    config.add_optimization_profile(profile)

    engine_bytes = builder.build_serialized_network(network, config)
    with open(engine_path, "wb") as f:
        f.write(engine_bytes)
    return trt.Runtime(TRT_LOGGER).deserialize_cuda_engine(engine_bytes)


def by_name(engine, x):
    context = engine.create_execution_context()
    stream = cuda.Stream()
    context.set_input_shape("input", x.shape)
    y = cuda.pagelocked_empty(tuple(context.get_tensor_shape("output")), np.float32)
    d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
    context.set_tensor_address("input", int(d_x))
    context.set_tensor_address("output", int(d_y))
    cuda.memcpy_htod_async(d_x, x, stream)
    assert context.execute_async_v3(stream_handle=stream.handle)
    cuda.memcpy_dtoh_async(y, d_y, stream)
    stream.synchronize()
    return y


def by_list(engine, x):
    context = engine.create_execution_context()
    context.set_input_shape("input", x.shape)
    y = np.empty(context.get_tensor_shape("output"), np.float32)
    d_x, d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(y.nbytes)
    cuda.memcpy_htod(d_x, x)
    assert context.execute_v2(bindings=[int(d_x), int(d_y)])
    cuda.memcpy_dtoh(y, d_y)
    return y


def by_index(engine, x):
    context = engine.create_execution_context()
    bindings, host, device = [], {}, {}
    stream = cuda.Stream()
    for binding in engine:
        index = engine.get_binding_index(binding)
        if engine.binding_is_input(binding):
            context.set_binding_shape(index, x.shape)
    for binding in engine:
        index = engine.get_binding_index(binding)
        size = trt.volume(context.get_binding_shape(index))
        dtype = trt.nptype(engine.get_binding_dtype(binding))
        host[binding] = cuda.pagelocked_empty(size, dtype)
        device[binding] = cuda.mem_alloc(host[binding].nbytes)
        bindings.append(int(device[binding]))
    np.copyto(host["input"], x.ravel())
    cuda.memcpy_htod_async(device["input"], host["input"], stream)
    assert context.execute_async_v2(bindings=bindings, stream_handle=stream.handle)
    cuda.memcpy_dtoh_async(host["output"], device["output"], stream)
    stream.synchronize()
    return host["output"].reshape(context.get_binding_shape(engine.get_binding_index("output")))


if __name__ == "__main__":
    model, precision, inputs, outputs, path = sys.argv[1:]
    engine = build_engine(model, path, precision)
    x = np.load(inputs)
    np.savez(outputs, **{style.__name__: style(engine, x) for style in (by_name, by_list, by_index)})
