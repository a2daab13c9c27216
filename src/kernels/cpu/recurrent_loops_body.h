#pragma once

// The loops of recurrent_loops.h over vectors of kLanes floats. Included once by each file that
// compiles them for its instruction set; everything has internal linkage.

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <cmath>
#include <cstring>

#include "kernels/cpu/recurrent_loops.h"

namespace carnot {
namespace {

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef int32_t Bits __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
Vector& at(float* x) { return *reinterpret_cast<Vector*>(x); }
inline Vector splat(float value) { return value - Vector{}; }

inline Vector multiplyAdd(Vector a, Vector b, Vector c) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vector>(_mm512_fmadd_ps(
      reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vector>(_mm256_fmadd_ps(
      reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}
inline Vector multiplyAdd(Vector a, Vector b, float c) { return multiplyAdd(a, b, splat(c)); }

// NaN stays.
inline Vector atMost(Vector x, float bound) { return x > splat(bound) ? splat(bound) : x; }
inline Vector atLeast(Vector x, float bound) { return x < splat(bound) ? splat(bound) : x; }

// ---- Functions.

// Of x from -87 to 88: x = n ln2 + r, where the product with n is exact in the first part of ln2.
inline Vector exponential(Vector x) {
  constexpr float kShift = 0x1.8p+23f;  // leaves an integer in the low bits
  const Vector shifted = multiplyAdd(x, splat(0x1.715476p+0f), kShift);
  const Vector n = shifted - kShift;
  const Vector r = multiplyAdd(n, splat(-0x1.7f7d1cp-20f), multiplyAdd(n, splat(-0x1.62e4p-1f), x));
  Vector p = multiplyAdd(r, splat(0x1.6a2348p-10f), 0x1.123e22p-7f);
  p = multiplyAdd(p, r, 0x1.555906p-5f);
  p = multiplyAdd(p, r, 0x1.555494p-3f);
  p = multiplyAdd(p, r, 0x1.fffffap-2f);
  p = multiplyAdd(p, r, 1.0f);
  p = multiplyAdd(p, r, 1.0f);
  const Bits power = (reinterpret_cast<Bits>(shifted) << 23) + (127 << 23);
  return p * reinterpret_cast<Vector>(power);
}

inline Vector sigmoid(Vector x) {
  const Vector e = exponential(atLeast(atMost(x, 88), -87));
  return e / (e + 1.0f);
}

// Of a = |x| up to 0.65 a + a^3 P(a^2), beyond 1 - 2 / (e^2a + 1).
inline Vector hyperbolicTangent(Vector x) {
  const Bits sign = reinterpret_cast<Bits>(x) & INT32_MIN;
  const Vector a = atMost(reinterpret_cast<Vector>(reinterpret_cast<Bits>(x) & INT32_MAX), 10);
  const Vector square = a * a;
  Vector p = multiplyAdd(square, splat(-0x1.697114p-8f), 0x1.4f5ef6p-6f);
  p = multiplyAdd(p, square, -0x1.b7cff2p-5f);
  p = multiplyAdd(p, square, 0x1.1103f2p-3f);
  p = multiplyAdd(p, square, -0x1.555524p-2f);
  const Vector near = multiplyAdd(a, square * p, a);
  const Vector far = 1.0f - 2.0f / (exponential(a + a) + 1.0f);
  const Vector y = a < splat(0.65f) ? near : far;
  return reinterpret_cast<Vector>(reinterpret_cast<Bits>(y) | sign);
}

template <typename Function>
Vector oneByOne(Vector x, Function function) {
  for (int lane = 0; lane < kLanes; ++lane) x[lane] = function(x[lane]);
  return x;
}

[[gnu::noinline]] Vector rareFunction(const RecurrentFunction& function, Vector x) {
  const float alpha = function.alpha, beta = function.beta;
  const Vector zero = {};
  switch (function.curve) {
    case RecurrentCurve::Relu:
      return x < zero ? zero : x;
    case RecurrentCurve::Tanh:
      return hyperbolicTangent(x);
    case RecurrentCurve::Sigmoid:
      return sigmoid(x);
    case RecurrentCurve::Affine:
      return x * alpha + beta;
    case RecurrentCurve::LeakyRelu:
      return x < zero ? x * alpha : x;
    case RecurrentCurve::ThresholdedRelu:
      return x > splat(alpha) ? x : zero;
    case RecurrentCurve::ScaledTanh:
      return hyperbolicTangent(x * beta) * alpha;
    case RecurrentCurve::HardSigmoid:
      return atLeast(atMost(x * alpha + beta, 1), 0);
    case RecurrentCurve::Elu:
      return x < zero ? oneByOne(x, [](float v) { return std::expm1(v); }) * alpha : x;
    case RecurrentCurve::Softsign:
      return x / (oneByOne(x, [](float v) { return std::fabs(v); }) + 1.0f);
    case RecurrentCurve::Softplus:
      return oneByOne(
          x, [](float v) { return std::fmax(v, 0.0f) + std::log1p(std::exp(-std::fabs(v))); });
  }
  return x;
}

// The cell's functions; Usual: known to the compiler.
template <bool Usual>
struct Functions {
  const RecurrentFormula& formula;

  Vector other(int which, Vector x) const {
    if (formula.clip > 0) x = atLeast(atMost(x, formula.clip), -formula.clip);
    return rareFunction(formula.functions[which], x);
  }
  Vector gate(Vector x) const {
    if constexpr (Usual) return sigmoid(x);
    return other(0, x);
  }
  // ONNX's f of an RNN, g and h of the others.
  Vector state(int which, Vector x) const {
    if constexpr (Usual) return hyperbolicTangent(x);
    return other(which, x);
  }
};

// ---- Products.

// sums += rows of `a` · panel. Short sums are split so that their additions overlap.
template <int Rows, int Vectors>
inline void multiply(const float* const (&a)[Rows], int64_t k, const float* panel,
                     Vector (&sums)[Rows][Vectors]) {
  constexpr int kSplits = Rows * Vectors >= 8 ? 1 : Rows * Vectors >= 4 ? 2 : 4;
  int64_t i = 0;
  if constexpr (kSplits > 1) {
    Vector parts[kSplits][Rows][Vectors] = {};
    for (; i + kSplits <= k; i += kSplits)
#pragma GCC unroll 4
      for (int split = 0; split < kSplits; ++split)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
          const Vector b = at(panel + ((i + split) * Vectors + v) * kLanes);
#pragma GCC unroll 8
          for (int row = 0; row < Rows; ++row)
            parts[split][row][v] = multiplyAdd(splat(a[row][i + split]), b, parts[split][row][v]);
        }
#pragma GCC unroll 4
    for (int split = 0; split < kSplits; ++split)
#pragma GCC unroll 8
      for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) sums[row][v] += parts[split][row][v];
  }
  Vector all[Rows][Vectors];  // in registers, wherever `sums` lies
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) all[row][v] = sums[row][v];
  for (; i < k; ++i) {
    Vector b[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) b[v] = at(panel + (i * Vectors + v) * kLanes);
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      const Vector x = splat(a[row][i]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) all[row][v] = multiplyAdd(x, b[v], all[row][v]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sums[row][v] = all[row][v];
}

template <int Rows, int Vectors>
void inputTile(const RecurrentInput& input) {
  const float* x[Rows];
  Vector sums[Rows][Vectors];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
    x[row] = input.x[row];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sums[row][v] = at(input.bias + v * kLanes);
  }
  multiply<Rows, Vectors>(x, input.k, input.panel, sums);
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      at(input.out + row * input.outStride + v * kLanes) = sums[row][v];
}

// ---- One row's block of units: from the gates' sums to the next state.

struct Units {
  const RecurrentTile& tile;
  int row;
  int64_t unit;  // of the panel

  int64_t place() const { return row * tile.stride + unit; }
  Vector h() const { return at(tile.h + place()); }

  void setNext(Vector next) const {
    at(tile.next + place()) = next;
    float* y = tile.y[row] + unit;
    const int64_t present = tile.units - unit;
    if (present >= kLanes)
      at(y) = next;
    else if (present > 0)
      std::memcpy(y, &next, static_cast<size_t>(present) * sizeof(float));
  }
};

template <RecurrentStage Stage, typename Cell>
inline void finishUnits(const RecurrentFormula& formula, const Cell& cell, const Units& units,
                        const Vector* sums, const float* fromInput) {
  const RecurrentTile& tile = units.tile;
  if constexpr (Stage == RecurrentStage::Lstm) {
    float* memory = tile.c + units.place();
    Vector c = at(memory), in = sums[0], out = sums[1], forget = sums[2];
    const float* peepholes = tile.peepholes;
    if (peepholes) {
      in = multiplyAdd(at(peepholes), c, in);
      forget = multiplyAdd(at(peepholes + 2 * tile.peepholeStride), c, forget);
    }
    in = cell.gate(in);
    forget = formula.coupled ? 1.0f - in : cell.gate(forget);
    c = multiplyAdd(in, cell.state(1, sums[3]), forget * c);
    at(memory) = c;
    if (peepholes) out = multiplyAdd(at(peepholes + tile.peepholeStride), c, out);
    units.setNext(cell.gate(out) * cell.state(2, c));
  } else if constexpr (Stage == RecurrentStage::GruLinear) {
    const Vector update = cell.gate(sums[0]), reset = cell.gate(sums[1]);
    const Vector candidate = cell.state(1, multiplyAdd(reset, sums[2], at(fromInput + 2 * kLanes)));
    units.setNext(multiplyAdd(update, units.h() - candidate, candidate));
  } else if constexpr (Stage == RecurrentStage::GruGates) {
    at(tile.update + units.place()) = cell.gate(sums[0]);
    at(tile.kept + units.place()) = cell.gate(sums[1]) * units.h();
  } else if constexpr (Stage == RecurrentStage::GruCandidate) {
    const Vector candidate = cell.state(1, sums[0]), update = at(tile.update + units.place());
    units.setNext(multiplyAdd(update, units.h() - candidate, candidate));
  } else {
    units.setNext(cell.state(0, sums[0]));
  }
}

template <RecurrentStage Stage, bool Usual, int Rows>
void stepTile(const RecurrentFormula& formula, const RecurrentTile& tile) {
  constexpr int kGates = gatesOf(Stage), kBlocks = blocksOf(Stage), kVectors = vectorsOf(Stage);
  const Functions<Usual> cell{formula};
  const float* state[Rows];
  Vector sums[Rows][kVectors];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
    state[row] = tile.state + row * tile.stride;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v)
      sums[row][v] = Stage == RecurrentStage::GruLinear && v == 2
                         ? at(tile.stateBias)
                         : at(tile.fromInput + row * tile.fromInputStride + v * kLanes);
  }
  multiply<Rows, kVectors>(state, tile.k, tile.panel, sums);
  for (int row = 0; row < Rows; ++row)
    for (int block = 0; block < kBlocks; ++block) {
      const Units units{tile, row, block * kLanes};
      if (tile.y[row])
        finishUnits<Stage>(formula, cell, units, sums[row] + block * kGates,
                           tile.fromInput + row * tile.fromInputStride);
      else if (Stage != RecurrentStage::GruGates)
        at(tile.next + units.place()) = units.h();
    }
}

// ---- By stage and number of rows.

constexpr int kMostRows = 6;

// Rows whose sums, a panel's row and one element fit the registers.
constexpr int mostRows(int vectors) {
  return kLanes == 16 ? kMostRows : vectors == 4 ? 2 : vectors == 3 ? 3 : 4;
}
constexpr int mostRows(RecurrentStage stage) { return mostRows(vectorsOf(stage)); }

template <int Vectors, int Rows = 1>
void inputRows(const RecurrentInput& input) {
  if constexpr (Rows <= mostRows(Vectors)) {
    if (input.rows == Rows) return inputTile<Rows, Vectors>(input);
    inputRows<Vectors, Rows + 1>(input);
  }
}

template <RecurrentStage Stage, int Rows = 1>
void stepRows(const RecurrentFormula& formula, const RecurrentTile& tile) {
  if constexpr (Rows <= mostRows(Stage)) {
    if (tile.rows == Rows)
      return formula.usual ? stepTile<Stage, true, Rows>(formula, tile)
                           : stepTile<Stage, false, Rows>(formula, tile);
    stepRows<Stage, Rows + 1>(formula, tile);
  }
}

void input(RecurrentStage stage, const RecurrentInput& rows) {
  switch (vectorsOf(stage)) {
    case 4:
      return inputRows<4>(rows);
    case 3:
      return inputRows<3>(rows);
    default:
      return inputRows<2>(rows);
  }
}

void step(RecurrentStage stage, const RecurrentFormula& formula, const RecurrentTile& tile) {
  switch (stage) {
    case RecurrentStage::Lstm:
      return stepRows<RecurrentStage::Lstm>(formula, tile);
    case RecurrentStage::GruLinear:
      return stepRows<RecurrentStage::GruLinear>(formula, tile);
    case RecurrentStage::GruGates:
      return stepRows<RecurrentStage::GruGates>(formula, tile);
    case RecurrentStage::GruCandidate:
      return stepRows<RecurrentStage::GruCandidate>(formula, tile);
    case RecurrentStage::Rnn:
      return stepRows<RecurrentStage::Rnn>(formula, tile);
  }
}

constexpr RecurrentLoops kLoops{
    kLanes,
    {mostRows(RecurrentStage::Lstm), mostRows(RecurrentStage::GruLinear),
     mostRows(RecurrentStage::GruGates), mostRows(RecurrentStage::GruCandidate),
     mostRows(RecurrentStage::Rnn)},
    input,
    step};

}  // namespace
}  // namespace carnot
