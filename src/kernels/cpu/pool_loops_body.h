#pragma once

// The loops of pool_loops.h over vectors of kLanes floats. Included once by each file that compiles
// them for its instruction set; everything has internal linkage.

#include <limits>

#include "kernels/cpu/pool_loops.h"

namespace carnot {
namespace {

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
Vector splat(float value) { return value - Vector{}; }

struct Max {
  static constexpr float kStart = -std::numeric_limits<float>::infinity();
  template <typename T>
  static T combine(T best, T x) {
    return ((x > best) | (x != x)) ? x : best;
  }
  template <typename T>
  static T finish(T value, float) {
    return value;
  }
};

struct Average {
  static constexpr float kStart = 0;
  template <typename T>
  static T combine(T sum, T x) {
    return sum + x;
  }
  template <typename T>
  static T finish(T value, float scale) {
    return value * scale;
  }
};

template <typename Kind>
void blocked(const PoolLine& line) {
  const float* first = line.x + line.lines.first * line.xLine;
  const int64_t lineStep = line.lineStep * line.xLine, columnStep = line.columnStep * kLanes;
  for (int64_t column = 0; column < line.columnCount; ++column) {
    const AxisTaps taps = line.columns[column];
    const float* from = first + int64_t{taps.first} * kLanes;
    Vector value = splat(Kind::kStart);
    for (int32_t i = 0; i < line.lines.count; ++i, from += lineStep)
      for (int32_t j = 0; j < taps.count; ++j)
        value = Kind::combine(value, at(from + j * columnStep));
    *reinterpret_cast<Vector*>(line.y + column * kLanes) =
        Kind::finish(value, line.lines.scale * taps.scale);
  }
}

// Lines first, into the temporary line, then columns.
template <typename Kind>
void plain(const PoolLine& line) {
  const float* first = line.x + line.lines.first * line.xLine;
  const int64_t lineStep = line.lineStep * line.xLine;
  int64_t column = 0;
  for (; column + kLanes <= line.inColumns; column += kLanes) {
    Vector value = splat(Kind::kStart);
    for (int32_t i = 0; i < line.lines.count; ++i)
      value = Kind::combine(value, at(first + i * lineStep + column));
    *reinterpret_cast<Vector*>(line.temporary + column) = value;
  }
  for (; column < line.inColumns; ++column) {
    float value = Kind::kStart;
    for (int32_t i = 0; i < line.lines.count; ++i)
      value = Kind::combine(value, first[i * lineStep + column]);
    line.temporary[column] = value;
  }
  for (int64_t out = 0; out < line.columnCount; ++out) {
    const AxisTaps taps = line.columns[out];
    float value = Kind::kStart;
    for (int32_t j = 0; j < taps.count; ++j)
      value = Kind::combine(value, line.temporary[taps.first + j * line.columnStep]);
    line.y[out] = Kind::finish(value, line.lines.scale * taps.scale);
  }
}

template <typename Kind>
void all(const float* x, int64_t count, float scale, float* y) {
  Vector parts[4] = {splat(Kind::kStart), splat(Kind::kStart), splat(Kind::kStart),
                     splat(Kind::kStart)};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4)
    for (int part = 0; part < 4; ++part)
      parts[part] = Kind::combine(parts[part], at(x + (i + part) * kLanes));
  for (; i < count; ++i) parts[0] = Kind::combine(parts[0], at(x + i * kLanes));
  const Vector value =
      Kind::combine(Kind::combine(parts[0], parts[1]), Kind::combine(parts[2], parts[3]));
  *reinterpret_cast<Vector*>(y) = Kind::finish(value, scale);
}

void maxOfAll(const float* x, int64_t count, float* y) { all<Max>(x, count, 1, y); }

constexpr PoolLoops kLoops{kLanes,         blocked<Max>, blocked<Average>, plain<Max>,
                           plain<Average>, maxOfAll,     all<Average>};

}  // namespace
}  // namespace carnot
