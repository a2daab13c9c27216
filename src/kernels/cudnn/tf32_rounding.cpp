#include "kernels/cudnn/tf32_rounding.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/shape.h"
#include "devices/cuda/cuda_device.h"

namespace carnot::cuda {
namespace {

// TF32 keeps the upper ten bits of 23.
constexpr uint32_t kOne = 0x3f800000, kStep = 1U << 13;

size_t elementsOf(const CudnnGraph::Tensor& tensor) {
  int64_t last = 0;
  for (size_t i = 0; i < tensor.dims.size(); ++i) last += (tensor.dims[i] - 1) * tensor.strides[i];
  return static_cast<size_t>(last) + 1;
}

// A quarter: small enough that sums of a few stay where no activation is flat.
uint32_t quarter(DType dtype) {
  switch (dtype) {
    case DType::F16:
      return 0x3400;
    case DType::BF16:
      return 0x3e80;
    default:
      return std::bit_cast<uint32_t>(0.25F);
  }
}

}  // namespace

bool rounds(const CudnnGraph& graph, const CudnnPlan& plan) try {
  const auto device = openCuda(cudaTraits());
  const auto stream = device->createStream();
  const CudnnGraph::Product product = graph.product();
  std::vector<std::shared_ptr<Buffer>> buffers;
  std::vector<void*> addresses;
  void *x = nullptr, *y = nullptr;
  for (size_t i = 0; i < graph.tensors().size(); ++i) {
    const CudnnGraph::Tensor& tensor = graph.tensors()[i];
    if (tensor.kind != CudnnGraph::Tensor::Kind::Memory) continue;
    const int width = dtypeBits(tensor.dtype) / 8;
    if (width != 2 && width != 4) return true;
    const size_t elements = elementsOf(tensor);
    const size_t offset = tensor.alignment < 16 ? static_cast<size_t>(tensor.alignment) : 0;
    buffers.push_back(device->allocate(offset + elements * static_cast<size_t>(width)));
    addresses.push_back(static_cast<std::byte*>(buffers.back()->data()) + offset);
    uint32_t value = quarter(tensor.dtype);
    if (static_cast<int>(i) == product.x) x = addresses.back();
    if (static_cast<int>(i) == graph.result()) y = addresses.back();
    if (static_cast<int>(i) == product.w) {
      // About 1 in all: a power of two, which both formats hold.
      const int64_t products = std::max(elementCount(tensor.dims) / tensor.dims[0], tensor.dims[0]);
      value = std::bit_cast<uint32_t>(
          std::ldexp(1.0F, -static_cast<int>(std::bit_width(static_cast<uint64_t>(products)))));
    }
    device->fill(addresses.back(), value, width, elements, *stream);
  }
  if (!x || !y) return true;
  const auto workspace = device->allocate(plan.workspaceBytes());
  const size_t bytes = static_cast<size_t>(
      dtypeBits(graph.tensors()[static_cast<size_t>(graph.result())].dtype) / 8);
  const size_t count = elementsOf(graph.tensors()[static_cast<size_t>(product.x)]);
  auto resultFor = [&](uint32_t input) {
    device->fill(x, input, 4, count, *stream);
    plan.run(addresses, workspace->data(), *stream);
    uint32_t result = 0;
    device->copyFromDevice(&result, y, bytes, *stream);
    stream->synchronize();
    return result;
  };
  const uint32_t below = resultFor(kOne), above = resultFor(kOne + kStep);
  return below == above || resultFor(kOne + kStep / 4 * 3) != below;
} catch (const Error&) {
  return false;
}

}  // namespace carnot::cuda
