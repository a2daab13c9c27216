#pragma once

#include <cstdint>

namespace carnot {

// Winograd's F(m × m, 3 × 3), m = 4 or 2: the m² outputs of a 3 × 3 window out of (m + 2)²
// products. The method is that of Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks" (CVPR 2016). Polynomials of m = 4 meet at 0, ±kNear, ±kFar and infinity, which lose
// less than those at 0, ±1 and ±2; those of m = 2 at 0, ±1 and infinity.
struct WinogradForm {
  static constexpr double kNear = 0.625, kFar = 1.5;
  static constexpr int64_t kMaxInputs = 6;

  int64_t outputs = 4;  // of a tile, along an axis

  int64_t inputs() const { return outputs + 2; }
  int64_t positions() const { return inputs() * inputs(); }
  // u = G w Gᵀ: the weights of a window, at each position.
  void weights(const float* w, double* u) const;
};

// The transforms of tiles, over one vector of channels: compiled for one instruction set. Strides
// in floats. Position (i, j) of a tile lies at (form.inputs() * i + j) * step.
struct WinogradLoops {
  int lanes;
  // v = Bᵀ x B of the pixels at x.
  void (*input)(const float* x, int64_t line, float* v, int64_t step);
  // y = Aᵀ m A.
  void (*output)(const float* m, int64_t step, float* y, int64_t line);
};

// Of F(outputs × outputs, 3 × 3), 4 or 2.
const WinogradLoops& winogradLoopsAvx2(int64_t outputs);
const WinogradLoops& winogradLoopsAvx512(int64_t outputs);

}  // namespace carnot
