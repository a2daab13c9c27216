"""Two contexts on two streams: copies of one go on while the other computes.

two_streams.py MODEL X.npy OUT.npz [ROUNDS]
"""

import sys
import time

import numpy as np
import tensorrt as trt
import pycuda.driver as cuda
import pycuda.autoinit

TRT_LOGGER = trt.Logger(trt.Logger.WARNING)


def build_engine(onnx_path, max_batch):
    builder = trt.Builder(TRT_LOGGER)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    parser = trt.OnnxParser(network, TRT_LOGGER)
    with open(onnx_path, "rb") as f:
        assert parser.parse(f.read())
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    dims = tuple(network.get_input(0).shape)[1:]
    profile.set_shape("input", min=(1, *dims), opt=(max_batch, *dims), max=(max_batch, *dims))
    config.add_optimization_profile(profile)
    engine_bytes = builder.build_serialized_network(network, config)
    return trt.Runtime(TRT_LOGGER).deserialize_cuda_engine(engine_bytes)


class Worker:
    """A context with its stream, page-locked memory and memory of the device."""

    def __init__(self, engine, x):
        self.context = engine.create_execution_context()
        self.stream = cuda.Stream()
        self.start, self.end = cuda.Event(), cuda.Event()
        self.context.set_input_shape("input", x.shape)
        shape = tuple(self.context.get_tensor_shape("output"))
        self.x, self.y = cuda.pagelocked_empty(x.shape, x.dtype), cuda.pagelocked_empty(shape, np.float32)
        np.copyto(self.x, x)
        self.d_x, self.d_y = cuda.mem_alloc(x.nbytes), cuda.mem_alloc(self.y.nbytes)
        self.context.set_tensor_address("input", int(self.d_x))
        self.context.set_tensor_address("output", int(self.d_y))

    def enqueue(self):
        cuda.memcpy_htod_async(self.d_x, self.x, self.stream)
        assert self.context.execute_async_v3(stream_handle=self.stream.handle)
        cuda.memcpy_dtoh_async(self.y, self.d_y, self.stream)


def measure(workers, rounds, together):
    start = time.perf_counter()
    for worker in workers:
        worker.start.record(worker.stream)
    for _ in range(rounds):
        for worker in workers:
            worker.enqueue()
            if not together:
                worker.stream.synchronize()
    for worker in workers:
        worker.end.record(worker.stream)
    for worker in workers:
        worker.stream.synchronize()
    return 1000 * (time.perf_counter() - start) / rounds


def main(model, x, out, rounds=3):
    x = np.load(x)
    engine = build_engine(model, len(x))
    workers = [Worker(engine, x), Worker(engine, x[::-1])]
    measure(workers, 3, False)
    apart, together = measure(workers, int(rounds), False), measure(workers, int(rounds), True)
    spans = [worker.end.time_since(worker.start) for worker in workers]
    print(f"one after another {apart:.3f} ms, beside each other {together:.3f} ms a round; "
          f"by the streams' events {spans[0]:.3f} and {spans[1]:.3f} ms")
    np.savez(out, first=workers[0].y, second=workers[1].y[::-1])


if __name__ == "__main__":
    main(*sys.argv[1:])
