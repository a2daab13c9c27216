#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/layout.h"
#include "devices/cuda/compile.h"
#include "devices/device.h"

namespace carnot::cuda {

// Copies images [N, C, H, W] to channels-last with zeros around them and in the channels behind
// theirs, which fill 16 bytes or a multiple. Where it `rounds`, float32 becomes the nearest TF32.
// Immutable.
class PadCopy {
 public:
  struct Window {
    std::vector<int64_t> begin, end;  // zeros around, by axis; below 0: what is left out
    bool folded = false;  // then each 2 x 2 elements become one of four times the channels
  };
  PadCopy(std::span<const int64_t> dims, Layout layout, int64_t channels, const Window& window,
          int elementBytes, const DeviceTraits& device, bool rounds = false);

  size_t bytes() const { return bytes_; }  // of the copy
  void run(const void* from, void* to, Stream& stream) const;

 private:
  struct Arguments {
    const void* from = nullptr;
    void* to = nullptr;
    int64_t count = 0, chunks = 0, width = 0, height = 0;  // of the copy
    int64_t channels = 0, real = 0, inWidth = 0, inHeight = 0, left = 0, top = 0;
    int64_t imageStride = 0, channelStride = 0, rowStride = 0, pixelStride = 0;
  };
  std::shared_ptr<const Module> module_;
  CUfunction function_ = nullptr;
  Arguments arguments_;
  size_t bytes_ = 0;
  uint32_t blocks_ = 0;
};

}  // namespace carnot::cuda
