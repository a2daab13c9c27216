#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "devices/cuda/compile.h"
#include "devices/device.h"
#include "kernels/cuda/launch.h"

namespace carnot::cuda {

// A box of elements copied from one strided tensor to another. Immutable.
class StridedCopy {
 public:
  // Dims that remain once neighbours through which both tensors step evenly are joined.
  static constexpr size_t kMaxRank = 8;

  // Strides in elements; those of the source may be 0 or negative. Throws Error (Unsupported) when
  // too many dims remain.
  StridedCopy(std::span<const int64_t> dims, std::span<const int64_t> fromStrides,
              std::span<const int64_t> toStrides, int elementBytes, const DeviceTraits& device);

  void run(const void* from, void* to, Stream& stream) const;

 private:
  struct Axis {
    int64_t extent, from, to;  // strides in bytes
  };
  // One way of copying: a function and what it gets.
  struct Form {
    std::shared_ptr<const Module> module;
    CUfunction function = nullptr;
    LaunchShape shape{.blocks = 0};
    std::array<int64_t, 4 + 3 * kMaxRank> words{};
  };

  Form elements(std::vector<Axis> axes, int bytes, const DeviceTraits& device) const;
  Form tiles(std::vector<Axis> axes, int bytes, const DeviceTraits& device) const;
  // Bytes of which extents, strides and runs are multiples; more than an element's where both
  // tensors hold longer runs.
  static int widest(const std::vector<Axis>& axes, int bytes);

  Form form_, wide_;
  int wideBytes_ = 0;  // the addresses' alignment that wide_ needs; 0: there is none
};

// Why copies refuse elements of a type; empty: they do not.
std::string whyNotCopied(DType type);

}  // namespace carnot::cuda
