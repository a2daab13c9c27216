#pragma once

// The loops of resize_loops.h over vectors of kLanes floats. Included once by each file that
// compiles them for its instruction set; everything has internal linkage.

#include <cstddef>
#include <utility>

#include "kernels/cpu/resize_loops.h"

namespace carnot {
namespace {

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
Vector& at(float* x) { return *reinterpret_cast<Vector*>(x); }

void blend(const float* a, float aWeight, const float* b, float bWeight, int64_t count, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) at(y + i) = at(a + i) * aWeight + at(b + i) * bWeight;
  for (; i < count; ++i) y[i] = a[i] * aWeight + b[i] * bWeight;
}

void linearPlain(const float* x, const ResizeColumns& columns, float* y) {
  for (int64_t i = 0; i < columns.count; ++i)
    y[i] = x[columns.first[i]] * columns.firstWeight[i] +
           x[columns.second[i]] * columns.secondWeight[i];
}

void linearBlocked(const float* x, const ResizeColumns& columns, float* y) {
  for (int64_t i = 0; i < columns.count; ++i)
    at(y + i * kLanes) = at(x + columns.first[i]) * columns.firstWeight[i] +
                         at(x + columns.second[i]) * columns.secondWeight[i];
}

void nearestPlain(const float* x, const ResizeColumns& columns, float* y) {
  for (int64_t i = 0; i < columns.count; ++i) y[i] = x[columns.first[i]];
}

void nearestBlocked(const float* x, const ResizeColumns& columns, float* y) {
  for (int64_t i = 0; i < columns.count; ++i) at(y + i * kLanes) = at(x + columns.first[i]);
}

// Lanes part * kLanes … of `x` with each lane kFactor times.
template <int kFactor, int kPart, size_t... i>
Vector repeated(Vector x, std::index_sequence<i...>) {
  return __builtin_shufflevector(x, x, ((kPart * kLanes + static_cast<int>(i)) / kFactor)...);
}

template <int kFactor, size_t... part>
void repeat(const float* x, int64_t count, float* y, std::index_sequence<part...>) {
  constexpr auto kAll = std::make_index_sequence<kLanes>();
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vector all = at(x + i);
    ((at(y + i * kFactor + static_cast<int64_t>(part) * kLanes) =
          repeated<kFactor, static_cast<int>(part)>(all, kAll)),
     ...);
  }
  for (; i < count; ++i)
    for (int64_t j = 0; j < kFactor; ++j) y[i * kFactor + j] = x[i];
}

void repeatPlain(const float* x, int64_t count, int64_t factor, float* y) {
  switch (factor) {
    case 2:
      return repeat<2>(x, count, y, std::make_index_sequence<2>());
    case 3:
      return repeat<3>(x, count, y, std::make_index_sequence<3>());
    case 4:
      return repeat<4>(x, count, y, std::make_index_sequence<4>());
    default:
      for (int64_t i = 0; i < count; ++i)
        for (int64_t j = 0; j < factor; ++j) y[i * factor + j] = x[i];
  }
}

constexpr ResizeLoops kLoops{kLanes,       blend,          linearPlain, linearBlocked,
                             nearestPlain, nearestBlocked, repeatPlain};

}  // namespace
}  // namespace carnot
