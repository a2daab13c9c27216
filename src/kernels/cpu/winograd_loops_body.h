#pragma once

// The loops of winograd_loops.h over vectors of kLanes floats. Included once by each file that
// compiles them for its instruction set; everything has internal linkage.

#include "kernels/cpu/winograd_loops.h"

namespace carnot {
namespace {

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

constexpr float kA = WinogradForm::kNear, kB = WinogradForm::kFar;
constexpr float kA2 = kA * kA, kB2 = kB * kB;

const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
Vector& at(float* x) { return *reinterpret_cast<Vector*>(x); }

// Bᵀ x.
[[gnu::always_inline]] inline void toPositions(const Vector (&x)[6], Vector (&v)[6]) {
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
[[gnu::always_inline]] inline void toPixels(const Vector (&m)[6], Vector (&y)[4]) {
  const Vector nearSum = m[1] + m[2], nearDifference = m[1] - m[2];
  const Vector farSum = m[3] + m[4], farDifference = m[3] - m[4];
  y[0] = m[0] + nearSum + farSum;
  y[1] = kA * nearDifference + kB * farDifference;
  y[2] = kA2 * nearSum + kB2 * farSum;
  y[3] = kA2 * kA * nearDifference + (kB2 * kB * farDifference + m[5]);
}

[[gnu::always_inline]] inline void toPositions(const Vector (&x)[4], Vector (&v)[4]) {
  v[0] = x[0] - x[2];
  v[1] = x[1] + x[2];
  v[2] = x[2] - x[1];
  v[3] = x[3] - x[1];
}

[[gnu::always_inline]] inline void toPixels(const Vector (&m)[4], Vector (&y)[2]) {
  y[0] = m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] + m[3];
}

template <int kOut>
void inputOfTile(const float* x, int64_t line, float* v, int64_t step) {
  constexpr int kIn = kOut + 2;
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

template <int kOut>
void outputOfTile(const float* m, int64_t step, float* y, int64_t line) {
  constexpr int kIn = kOut + 2;
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

constexpr WinogradLoops kLoopsOf4{kLanes, inputOfTile<4>, outputOfTile<4>};
constexpr WinogradLoops kLoopsOf2{kLanes, inputOfTile<2>, outputOfTile<2>};

}  // namespace
}  // namespace carnot
