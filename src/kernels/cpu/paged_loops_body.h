#pragma once

// The loops of paged_loops.h over vectors of kLanes floats. Included once by each file that
// compiles them for its instruction set; everything has internal linkage.

#include <immintrin.h>

#include <cstring>

#include "kernels/cpu/paged_loops.h"

namespace carnot {
namespace {

typedef float Vector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

const Vector& at(const float* x) { return *reinterpret_cast<const Vector*>(x); }
Vector& at(float* x) { return *reinterpret_cast<Vector*>(x); }
inline Vector splat(float value) { return value - Vector{}; }

inline Vector multiplyAdd(Vector a, Vector b, Vector c) {
#ifdef __AVX512F__
  return reinterpret_cast<Vector>(_mm512_fmadd_ps(
      reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#else
  return reinterpret_cast<Vector>(_mm256_fmadd_ps(
      reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#endif
}

// The lanes of four vectors, summed: each in the same order wherever it stands.
inline __m128 sumsOf(const Vector* x) {
  __m256 halves[4];
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    __m256 parts[kLanes / 8];
    std::memcpy(parts, &x[i], sizeof parts);
    halves[i] = parts[0];
    if constexpr (kLanes == 16) halves[i] = _mm256_add_ps(parts[0], parts[kLanes / 8 - 1]);
  }
  const __m256 pairs =
      _mm256_hadd_ps(_mm256_hadd_ps(halves[0], halves[1]), _mm256_hadd_ps(halves[2], halves[3]));
  return _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1));
}

// Up to four keys against Rows rows, which share their loads.
template <int Rows, int Keys>
void scoreTile(const PagedRows& rows, const float* q, int64_t qStride, const float* key,
               float* scores) {
  Vector sums[Rows][4] = {};
  int64_t i = 0;
  for (; i + kLanes <= rows.size; i += kLanes) {
    Vector k[Keys];
#pragma GCC unroll 8
    for (int j = 0; j < Keys; ++j) k[j] = at(key + j * rows.size + i);
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      const Vector x = at(q + row * qStride + i);
#pragma GCC unroll 8
      for (int j = 0; j < Keys; ++j) sums[row][j] = multiplyAdd(x, k[j], sums[row][j]);
    }
  }
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row) {
    float all[4];
    _mm_storeu_ps(all, sumsOf(sums[row]));
#pragma GCC unroll 8
    for (int j = 0; j < Keys; ++j) {
      for (int64_t tail = i; tail < rows.size; ++tail)
        all[j] += q[row * qStride + tail] * key[j * rows.size + tail];
      scores[row * rows.scoreStride + j] = all[j];
    }
  }
}

template <int Rows>
void scoreRows(const PagedRows& rows, const float* q, int64_t qStride, float* scores) {
  int64_t key = 0;
  for (; key + 4 <= rows.keys; key += 4)
    scoreTile<Rows, 4>(rows, q, qStride, rows.block + key * rows.size, scores + key);
  for (; key < rows.keys; ++key)
    scoreTile<Rows, 1>(rows, q, qStride, rows.block + key * rows.size, scores + key);
}

// Rows whose sums over four keys fit the registers.
constexpr int64_t kScoreRows = kLanes == 16 ? 4 : 2;

void score(const PagedRows& rows, const float* q, int64_t qStride) {
  int64_t row = 0;
  for (; row + kScoreRows <= rows.rows; row += kScoreRows)
    scoreRows<kScoreRows>(rows, q + row * qStride, qStride, rows.scores + row * rows.scoreStride);
  for (; row < rows.rows; ++row)
    scoreRows<1>(rows, q + row * qStride, qStride, rows.scores + row * rows.scoreStride);
}

template <int Rows, int Vectors>
void mixTile(const PagedRows& rows, const float* scores, const float* factors, int64_t column,
             float* out) {
  Vector sums[Rows][Vectors];
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      sums[row][v] = at(out + row * rows.size + column + v * kLanes) * splat(factors[row]);
  const float* value = rows.block + column;
  for (int64_t key = 0; key < rows.keys; ++key, value += rows.size)
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      const Vector weight = splat(scores[row * rows.scoreStride + key]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v)
        sums[row][v] = multiplyAdd(weight, at(value + v * kLanes), sums[row][v]);
    }
#pragma GCC unroll 8
  for (int row = 0; row < Rows; ++row)
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v)
      at(out + row * rows.size + column + v * kLanes) = sums[row][v];
}

template <int Rows>
void mixRows(const PagedRows& rows, const float* scores, const float* factors, float* out) {
  int64_t i = 0;
  for (; i + 2 * kLanes <= rows.size; i += 2 * kLanes)
    mixTile<Rows, 2>(rows, scores, factors, i, out);
  for (; i + kLanes <= rows.size; i += kLanes) mixTile<Rows, 1>(rows, scores, factors, i, out);
  for (; i < rows.size; ++i)
#pragma GCC unroll 8
    for (int row = 0; row < Rows; ++row) {
      float sum = out[row * rows.size + i] * factors[row];
      for (int64_t key = 0; key < rows.keys; ++key)
        sum += scores[row * rows.scoreStride + key] * rows.block[key * rows.size + i];
      out[row * rows.size + i] = sum;
    }
}

void mix(const PagedRows& rows, const float* factors, float* out) {
  int64_t row = 0;
  for (; row + 4 <= rows.rows; row += 4)
    mixRows<4>(rows, rows.scores + row * rows.scoreStride, factors + row, out + row * rows.size);
  for (; row < rows.rows; ++row)
    mixRows<1>(rows, rows.scores + row * rows.scoreStride, factors + row, out + row * rows.size);
}

void finish(const float* out, float sum, int64_t size, float* y) {
  const float factor = 1 / sum;
  for (int64_t i = 0; i < size; ++i) y[i] = out[i] * factor;
}

float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

void load(DType type, const void* from, int64_t count, float* to) {
  const auto* codes = static_cast<const uint16_t*>(from);
  if (type == DType::F32) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  } else if (type == DType::F16) {
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
      _mm256_storeu_ps(
          to + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i))));
    for (; i < count; ++i) to[i] = _cvtsh_ss(codes[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = floatOf(uint32_t{codes[i]} << 16);
  }
}

uint16_t bfloat16Of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (value != value) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

void store(DType type, const float* from, int64_t count, void* to) {
  auto* codes = static_cast<uint16_t*>(to);
  if (type == DType::F32) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
  } else if (type == DType::F16) {
    int64_t i = 0;
    for (; i + 8 <= count; i += 8)
      _mm_storeu_si128(reinterpret_cast<__m128i*>(codes + i),
                       _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < count; ++i) codes[i] = _cvtss_sh(from[i], _MM_FROUND_TO_NEAREST_INT);
  } else {
    for (int64_t i = 0; i < count; ++i) codes[i] = bfloat16Of(from[i]);
  }
}

constexpr PagedLoops kLoops{score, mix, finish, load, store};

}  // namespace
}  // namespace carnot
