"""What tests of carnot.tensorrt share."""

import numpy as np

import carnot.cuda as cuda
import carnot.tensorrt as trt


class Recorder(trt.ILogger):
    """A logger that keeps what it hears."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def log(self, severity, msg):
        self.heard.append((severity, msg))

    def of(self, severity):
        return "\n".join(msg for heard, msg in self.heard if heard == severity)

    @property
    def errors(self):
        return self.of(self.ERROR)


def parsed(model, logger, flags=0):
    """(builder, network, configuration that times nothing and keeps nothing)."""
    builder = trt.Builder(logger)
    network = builder.create_network(flags)
    assert trt.OnnxParser(network, logger).parse(model)
    config = builder.create_builder_config()
    config.builder_optimization_level = 0
    config.set_flag(trt.BuilderFlag.DISABLE_TIMING_CACHE)
    config.clear_flag(trt.BuilderFlag.TF32)  # the same on every device
    return builder, network, config


def add_profile(builder, config, **shapes):
    profile = builder.create_optimization_profile()
    for name, (low, best, high) in shapes.items():
        profile.set_shape(name, low, best, high)
    return config.add_optimization_profile(profile)


def engine_of(model, logger, *profiles):
    builder, network, config = parsed(model, logger)
    for shapes in profiles:
        add_profile(builder, config, **shapes)
    return builder.build_engine_with_config(network, config)


def infer(context, **arrays):
    """Outputs by name, through device memory."""
    engine, device, outputs = context.engine, {}, {}
    for name, array in arrays.items():
        assert context.set_input_shape(name, array.shape)
        device[name] = cuda.mem_alloc(max(array.nbytes, 1))
        if array.nbytes:
            cuda.memcpy_htod(device[name], np.ascontiguousarray(array))
    for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
        if engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT:
            shape = tuple(context.get_tensor_shape(name))
            outputs[name] = np.empty(shape, trt.nptype(engine.get_tensor_dtype(name)))
            device[name] = cuda.mem_alloc(max(outputs[name].nbytes, 1))
        assert context.set_tensor_address(name, int(device[name]))
    stream = cuda.Stream()
    assert context.execute_async_v3(stream.handle)
    for name, array in outputs.items():
        if array.nbytes:
            cuda.memcpy_dtoh(array, device[name])
    return outputs
