#pragma once

#include <cstdint>

namespace carnot {

// Where the columns of an output line come from, in floats from the start of the input line.
// Nearest uses `first` alone.
struct ResizeColumns {
  const int64_t *first, *second;
  const float *firstWeight, *secondWeight;
  int64_t count;
};

// Loops over one line, of a plane or of a block of `lanes` channels, compiled for one instruction
// set.
struct ResizeLoops {
  int lanes;
  // y = a * aWeight + b * bWeight
  void (*blend)(const float* a, float aWeight, const float* b, float bWeight, int64_t count,
                float* y);
  void (*linearPlain)(const float* x, const ResizeColumns& columns, float* y);
  void (*linearBlocked)(const float* x, const ResizeColumns& columns, float* y);
  void (*nearestPlain)(const float* x, const ResizeColumns& columns, float* y);
  void (*nearestBlocked)(const float* x, const ResizeColumns& columns, float* y);
  // Each of `count` floats `factor` times.
  void (*repeatPlain)(const float* x, int64_t count, int64_t factor, float* y);
};

const ResizeLoops& resizeLoopsPortable();
const ResizeLoops& resizeLoopsAvx2();
const ResizeLoops& resizeLoopsAvx512();

}  // namespace carnot
