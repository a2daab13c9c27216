#include "kernels/cudnn/finish.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cuda/launch.h"

namespace carnot::cuda {

ConvFinish::ConvFinish(const ProductTail& tail, std::span<const int64_t> dims,
                       std::span<const std::vector<int64_t>> operandDims,
                       const DeviceTraits& device) {
  const int64_t channels = dims[1];
  int64_t pixels = 1;
  for (size_t axis = 2; axis < dims.size(); ++axis) pixels *= dims[axis];
  arguments_.matrices = dims[0];
  arguments_.rows = pixels;
  arguments_.columns = channels;
  const int64_t bytes = dtypeBits(tail.out) / 8;
  arguments_.tail.outRow = channels * bytes;
  arguments_.tail.outMatrix = pixels * channels * bytes;
  int widest = std::max(dtypeBits(tail.product), dtypeBits(tail.out)) / 8;
  for (size_t i = 0; i < operandDims.size(); ++i) {
    std::vector<int64_t> own = operandDims[i];
    own.insert(own.begin(), dims.size() - own.size(), 1);
    int64_t places = 1;
    for (size_t axis = 2; axis < own.size(); ++axis) places *= own[axis];
    if (places != 1 && places != pixels)
      throw Error(ErrorCode::Unsupported, "a tensor that repeats along some spatial axes");
    const int64_t each = dtypeBits(tail.operands[i].dtype) / 8;
    widest = std::max(widest, static_cast<int>(each));
    arguments_.tail.operands[i].row = places == 1 ? 0 : own[1] * each;
    arguments_.tail.operands[i].matrix = own[0] == 1 ? 0 : own[1] * places * each;
  }
  const int vector = std::clamp(16 / widest, 1, 8);
  ofOnes_ = moduleOf(finishSource(tail, 1));
  functionOfOnes_ = ofOnes_->function(kFinishFunction);
  module_ = channels % vector == 0 && vector > 1 ? moduleOf(finishSource(tail, vector)) : ofOnes_;
  function_ = module_->function(kFinishFunction);
  const int64_t units = dims[0] * pixels * (channels / vector + 1);
  blocks_ = static_cast<uint32_t>(
      std::clamp<int64_t>(units / kFinishThreads, 1, int64_t{device.multiprocessors} * 16));
}

void ConvFinish::run(void* data, std::span<const void* const> operands, Stream& stream) const {
  FinishArguments all = arguments_;
  all.product = all.tail.out = data;
  auto addresses = reinterpret_cast<uintptr_t>(data);
  for (size_t i = 0; i < operands.size(); ++i) {
    all.tail.operands[i].address = operands[i];
    addresses |= reinterpret_cast<uintptr_t>(operands[i]);
  }
  launch(addresses % 16 == 0 ? function_ : functionOfOnes_,
         {.blocks = blocks_, .threads = kFinishThreads, .overlapped = true}, &all, stream);
}

}  // namespace carnot::cuda
