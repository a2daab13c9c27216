#pragma once

#include <cstdint>

namespace carnot {

// The taps of a window along one axis that lie inside the image.
struct AxisTaps {
  int32_t first = 0;  // element under the first
  int32_t count = 0;
  float scale = 1;  // of an average: one over the elements that count along this axis
};

// One line of a pool's output, of one block of channels or of one plain plane.
struct PoolLine {
  const float* x;           // the image
  int64_t xLine;            // floats from line to line
  AxisTaps lines;           // under this output line
  int64_t lineStep;         // lines from tap to tap
  const AxisTaps* columns;  // under each output column
  int64_t columnCount, columnStep;
  int64_t inColumns;
  float* y;
  float* temporary;  // plain: inColumns floats
};

// Loops compiled for one instruction set. Maxima keep NaN and are the lowest value without taps.
struct PoolLoops {
  int lanes;
  void (*maxBlocked)(const PoolLine& line);
  void (*averageBlocked)(const PoolLine& line);
  void (*maxPlain)(const PoolLine& line);
  void (*averagePlain)(const PoolLine& line);
  // Over all `count` pixels of one block: `lanes` results.
  void (*maxAll)(const float* x, int64_t count, float* y);
  void (*sumAll)(const float* x, int64_t count, float scale, float* y);
};

const PoolLoops& poolLoopsPortable();
const PoolLoops& poolLoopsAvx2();
const PoolLoops& poolLoopsAvx512();

}  // namespace carnot
