#pragma once

#include <cstdint>

namespace carnot {

// Winograd's F(4 × 4, 3 × 3): 16 outputs of a 3 × 3 window out of 36 products. The method is that
// of Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), by
// polynomials that meet at 0, ±kNear, ±kFar and infinity, which lose less than those at 0, ±1 and
// ±2.
struct Winograd {
  static constexpr double kNear = 0.625, kFar = 1.5;
  static constexpr int64_t kOutputs = 4, kInputs = 6;  // of a tile, along an axis
  static constexpr int64_t kPositions = kInputs * kInputs;

  // u = G w Gᵀ: the weights of a window, at each position.
  static void weights(const float* w, double* u);
};

// The transforms of tiles, over one vector of channels: compiled for one instruction set. Strides
// in floats. Position (i, j) of a tile lies at (6 i + j) * step.
struct WinogradLoops {
  int lanes;
  // v = Bᵀ x B of the 6 × 6 pixels at x.
  void (*input)(const float* x, int64_t line, float* v, int64_t step);
  // y = Aᵀ m A, 4 × 4 pixels.
  void (*output)(const float* m, int64_t step, float* y, int64_t line);
};

const WinogradLoops& winogradLoopsAvx2();
const WinogradLoops& winogradLoopsAvx512();

}  // namespace carnot
