#pragma once

// The loops of winograd_loops.h over vectors of kLanes floats. Included once by each file that
// compiles them for its instruction set; everything has internal linkage.

#include "kernels/cpu/winograd_loops.h"

namespace carnot {
namespace {

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

constexpr float kA = Winograd::kNear, kB = Winograd::kFar;
constexpr float kA2 = kA * kA, kB2 = kB * kB;
constexpr int kIn = Winograd::kInputs, kOut = Winograd::kOutputs;

const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
Vector& at(float* x) { return *reinterpret_cast<Vector*>(x); }

// Bᵀ x.
[[gnu::always_inline]] inline void toPositions(const Vector (&x)[kIn], Vector (&v)[kIn]) {
  v[0] = x[4] - (kA2 + kB2) * x[2] + kA2 * kB2 * x[0];
  v[5] = x[5] - (kA2 + kB2) * x[3] + kA2 * kB2 * x[1];
  const Vector nearEven = x[4] - kB2 * x[2], nearOdd = x[3] - kB2 * x[1];
  v[1] = nearEven + kA * nearOdd;
  v[2] = nearEven - kA * nearOdd;
  const Vector farEven = x[4] - kA2 * x[2], farOdd = x[3] - kA2 * x[1];
  v[3] = farEven + kB * farOdd;
  v[4] = farEven - kB * farOdd;
}

// Aᵀ m.
[[gnu::always_inline]] inline void toPixels(const Vector (&m)[kIn], Vector (&y)[kOut]) {
  const Vector nearSum = m[1] + m[2], nearDifference = m[1] - m[2];
  const Vector farSum = m[3] + m[4], farDifference = m[3] - m[4];
  y[0] = m[0] + nearSum + farSum;
  y[1] = kA * nearDifference + kB * farDifference;
  y[2] = kA2 * nearSum + kB2 * farSum;
  y[3] = kA2 * kA * nearDifference + (kB2 * kB * farDifference + m[5]);
}

void inputOfTile(const float* x, int64_t line, float* v, int64_t step) {
  Vector half[kIn][kIn];  // [column][row]
#pragma GCC unroll 6
  for (int column = 0; column < kIn; ++column) {
    Vector pixels[kIn];
#pragma GCC unroll 6
    for (int row = 0; row < kIn; ++row) pixels[row] = at(x + row * line + column * kLanes);
    toPositions(pixels, half[column]);
  }
#pragma GCC unroll 6
  for (int row = 0; row < kIn; ++row) {
    Vector values[kIn], positions[kIn];
#pragma GCC unroll 6
    for (int column = 0; column < kIn; ++column) values[column] = half[column][row];
    toPositions(values, positions);
#pragma GCC unroll 6
    for (int column = 0; column < kIn; ++column)
      at(v + (row * kIn + column) * step) = positions[column];
  }
}

void outputOfTile(const float* m, int64_t step, float* y, int64_t line) {
  Vector half[kIn][kOut];  // [column][row]
#pragma GCC unroll 6
  for (int column = 0; column < kIn; ++column) {
    Vector positions[kIn];
#pragma GCC unroll 6
    for (int row = 0; row < kIn; ++row) positions[row] = at(m + (row * kIn + column) * step);
    toPixels(positions, half[column]);
  }
#pragma GCC unroll 4
  for (int row = 0; row < kOut; ++row) {
    Vector values[kIn], pixels[kOut];
#pragma GCC unroll 6
    for (int column = 0; column < kIn; ++column) values[column] = half[column][row];
    toPixels(values, pixels);
#pragma GCC unroll 6
    for (int column = 0; column < kOut; ++column)
      at(y + row * line + column * kLanes) = pixels[column];
  }
}

constexpr WinogradLoops kLoops{kLanes, inputOfTile, outputOfTile};

}  // namespace
}  // namespace carnot
