#pragma once

#include <cstdint>
#include <memory>

#include "devices/device.h"

namespace carnot {

class MachineCode;

// One block of keys of a running softmax over rows of scores (Milakov and Gimelshein, "Online
// normalizer calculation for softmax"): scores become exp(scale * score + mask - maximum), and the
// rows' maxima and sums go on from earlier blocks. Maxima are of scores where
// there is no mask and the scale is positive, else of scale * score + mask, over ln 2.
struct SoftmaxRowsSpec {
  enum class Mask : uint8_t { None, Add, Keep };  // float32 added; Bool, where false hides
  IsaSet isa;
  float scale = 1;
  Mask mask = Mask::None;
};

// Strides in bytes. Rows of scores have room for whole vectors.
struct SoftmaxRowsArguments {
  float* scores = nullptr;
  int64_t rowStride = 0, rows = 0;
  // Row i sees columns [0, clamp(columns + i * columnsStep, 0, columnsLimit)); up to paddedColumns,
  // a multiple of the lanes, the others become 0.
  int64_t columns = 0, columnsStep = 0, columnsLimit = 0, paddedColumns = 0;
  const void* mask = nullptr;
  int64_t maskRowStride = 0;
  // Of each row: the largest score, from -infinity on; the sum of exponentials, from 0 on; and what
  // sums over earlier blocks must be multiplied by.
  float *maxima = nullptr, *sums = nullptr, *factors = nullptr;
};

class SoftmaxRows {
 public:
  explicit SoftmaxRows(const SoftmaxRowsSpec& spec);
  void operator()(const SoftmaxRowsArguments& arguments) const { function_(&arguments); }
  // What exponentials under `maximum` are multiplied by to be under a larger one.
  float factor(float maximum, float larger) const;

 private:
  float exponent_ = 1;  // of 2, for one of a maximum
  std::shared_ptr<const MachineCode> code_;
  void (*function_)(const SoftmaxRowsArguments*);
};

}  // namespace carnot
