"""A classifier as scripts for TensorRT 8 have it: build_engine, bindings by index, execute_async_v2.

Usage: style_8_6.py MODEL INPUT.npy OUTPUT.npz
"""

import sys

import numpy as np
import pycuda.autoinit
import pycuda.driver as cuda
import tensorrt as trt

EXPLICIT_BATCH = 1 << (int)(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)


class MyLogger(trt.ILogger):
    def __init__(self):
        trt.ILogger.__init__(self)
        self.messages = []

    def log(self, severity, msg):
        self.messages.append((severity, msg))
        if severity <= trt.ILogger.Severity.ERROR:
            print(msg, file=sys.stderr)


class HostDeviceMem(object):
    def __init__(self, host_mem, device_mem):
        self.host = host_mem
        self.device = device_mem


def allocate_buffers(engine, context):
    inputs, outputs, bindings = [], [], []
    stream = cuda.Stream()
    for i in range(engine.num_bindings):
        size = trt.volume(context.get_binding_shape(i)) * engine.max_batch_size
        dtype = trt.nptype(engine.get_binding_dtype(i))
        host_mem = cuda.pagelocked_empty(size, dtype)
        device_mem = cuda.mem_alloc(host_mem.nbytes)
        bindings.append(int(device_mem))
        (inputs if engine.binding_is_input(i) else outputs).append(HostDeviceMem(host_mem, device_mem))
    return inputs, outputs, bindings, stream


def do_inference_v2(context, bindings, inputs, outputs, stream):
    [cuda.memcpy_htod_async(inp.device, inp.host, stream) for inp in inputs]
    context.execute_async_v2(bindings=bindings, stream_handle=stream.handle)
    [cuda.memcpy_dtoh_async(out.host, out.device, stream) for out in outputs]
    stream.synchronize()
    return [out.host for out in outputs]


def main(model, input_path, output_path):
    logger = MyLogger()
    trt.init_libnvinfer_plugins(logger, "")
    x = np.load(input_path)
    with trt.Builder(logger) as builder, builder.create_network(EXPLICIT_BATCH) as network, \
            builder.create_builder_config() as config, trt.OnnxParser(network, logger) as parser:
        builder.max_batch_size = 1
        config.max_workspace_size = 1 << 28
        if builder.platform_has_fast_fp16:
            config.set_flag(trt.BuilderFlag.FP16)
        config.set_flag(trt.BuilderFlag.STRICT_TYPES)
        config.set_tactic_sources(1 << int(trt.TacticSource.CUBLAS) | 1 << int(trt.TacticSource.CUDNN))
        config.set_preview_feature(trt.PreviewFeature.FASTER_DYNAMIC_SHAPES_0805, True)
        if not parser.parse_from_file(model):
            for error in range(parser.num_errors):
                print(parser.get_error(error))
            sys.exit(1)
        assert not network.has_implicit_batch_dimension and network.num_inputs == 1
        last_layer = network.get_layer(network.num_layers - 1)
        assert last_layer.type == trt.LayerType.SOFTMAX
        assert last_layer.get_output(0).is_network_output
        profile = builder.create_optimization_profile()
        name, shape = network.get_input(0).name, network.get_input(0).shape
        profile.set_shape(name, (1, *shape[1:]), (2, *shape[1:]), (4, *shape[1:]))
        config.add_optimization_profile(profile)
        with builder.build_engine(network, config) as engine:
            assert engine.get_profile_shape(0, 0)[2] == (4, 3, 32, 32)
            with engine.create_execution_context() as context:
                context.active_optimization_profile = 0
                assert not context.all_binding_shapes_specified
                context.set_binding_shape(0, x.shape)
                assert context.all_binding_shapes_specified
                inputs, outputs, bindings, stream = allocate_buffers(engine, context)
                np.copyto(inputs[0].host, x.ravel())
                trt_outputs = do_inference_v2(context, bindings, inputs, outputs, stream)
                y = trt_outputs[0].reshape(context.get_binding_shape(1))
    assert any(severity == trt.Logger.INFO for severity, _ in logger.messages)
    np.savez(output_path, output=y)


if __name__ == "__main__":
    main(*sys.argv[1:])
