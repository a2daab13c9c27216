#pragma once

#include <memory>
#include <span>
#include <vector>

#include "codegen/cuda/product_source.h"
#include "devices/cuda/compile.h"
#include "devices/device.h"

namespace carnot::cuda {

// Pointwise steps over a channels-last tensor in its own place: for tails that a library's
// convolution does not take. Immutable.
class ConvFinish {
 public:
  // The tail's operands have `operandDims`, which broadcast to `dims` [N, C, spatial...]; those of
  // full rank lie channels-last. Throws Error (Unsupported) where one repeats along some spatial
  // axes only.
  ConvFinish(const ProductTail& tail, std::span<const int64_t> dims,
             std::span<const std::vector<int64_t>> operandDims, const DeviceTraits& device);

  void run(void* data, std::span<const void* const> operands, Stream& stream) const;

 private:
  std::shared_ptr<const Module> module_, ofOnes_;
  CUfunction function_ = nullptr, functionOfOnes_ = nullptr;
  uint32_t blocks_ = 1;
  FinishArguments arguments_;
};

}  // namespace carnot::cuda
