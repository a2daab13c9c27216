#pragma once

#include <carnot/dtype.h>

#include <cstdint>

namespace carnot {

// Rows against keys or values that lie one after another; strides in floats.
struct PagedRows {
  int64_t rows = 0, keys = 0, size = 0;
  const float* block = nullptr;  // [keys, size]
  float* scores = nullptr;       // [rows, keys]
  int64_t scoreStride = 0;
};

// Loops of paged attention compiled for one instruction set. Each row's arithmetic is the same
// whatever stands in the other rows.
struct PagedLoops {
  // scores = rows of q · keys.
  void (*score)(const PagedRows& rows, const float* q, int64_t qStride);
  // out = out * factors + scores · values; out [rows, size] is dense.
  void (*mix)(const PagedRows& rows, const float* factors, float* out);
  // y = out / sum of one row.
  void (*finish)(const float* out, float sum, int64_t size, float* y);
  // Between float32 and the cache's type.
  void (*load)(DType type, const void* from, int64_t count, float* to);
  void (*store)(DType type, const float* from, int64_t count, void* to);
};

const PagedLoops& pagedLoopsAvx2();
const PagedLoops& pagedLoopsAvx512();

}  // namespace carnot
