"""As scripts for TensorRT 11 have it: strong typing, nothing by index, output allocators.

Usage: style_11.py MODEL INPUT.npy OUTPUT.npz
"""

import sys

import numpy as np
import tensorrt as trt
from cuda.bindings import runtime as cudart


class Allocator(trt.IOutputAllocator):
    def __init__(self):
        super().__init__()
        self.shapes, self.memory = {}, {}

    def reallocate_output_async(self, tensor_name, memory, size, alignment, stream):
        error, address = cudart.cudaMallocAsync(size, stream)
        assert error == cudart.cudaError_t.cudaSuccess and address % alignment == 0
        self.memory[tensor_name] = address
        return address

    def notify_shape(self, tensor_name, shape):
        self.shapes[tensor_name] = tuple(shape)


def main(model, input_path, output_path):
    logger = trt.Logger(trt.Logger.Severity.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(model), parser.get_error(0).desc()
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 26)
    profile = builder.create_optimization_profile()
    profile.set_shape("input", min=[1, 3, 32, 32], opt=[2, 3, 32, 32], max=[8, 3, 32, 32])
    assert config.add_optimization_profile(profile) == 0
    plan = builder.build_serialized_network(network, config)
    engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
    assert engine.get_tensor_profile_shape("input", 0)[2] == (8, 3, 32, 32)

    runtime_config = engine.create_runtime_config()
    runtime_config.set_execution_context_allocation_strategy(
        trt.ExecutionContextAllocationStrategy.ON_PROFILE_CHANGE)
    context = engine.create_execution_context(runtime_config=runtime_config)
    x = np.load(input_path)
    allocator = Allocator()
    error, stream = cudart.cudaStreamCreate()
    error, address = cudart.cudaMallocAsync(x.nbytes, stream)
    to_device = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
    to_host = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
    cudart.cudaMemcpyAsync(address, x.ctypes.data, x.nbytes, to_device, stream)
    context.set_input_shape("input", x.shape)
    context.set_tensor_address("input", address)
    context.set_output_allocator("output", allocator)
    assert context.execute_async_v3(stream)
    y = np.empty(allocator.shapes["output"], np.float32)
    cudart.cudaMemcpyAsync(y.ctypes.data, allocator.memory["output"], y.nbytes, to_host, stream)
    cudart.cudaStreamSynchronize(stream)
    np.savez(output_path, output=y)


if __name__ == "__main__":
    main(*sys.argv[1:])
