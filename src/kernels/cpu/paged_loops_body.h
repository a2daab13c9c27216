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
Vector splat(float value) { return value - Vector{}; }

Vector multiplyAdd(Vector a, Vector b, Vector c) {
#ifdef __AVX512F__
  return reinterpret_cast<Vector>(_mm512_fmadd_ps(
      reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#else
  return reinterpret_cast<Vector>(_mm256_fmadd_ps(
      reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#endif
}

float sumOf(Vector x) {
  __m256 halves[kLanes / 8];
  std::memcpy(halves, &x, sizeof halves);
  __m256 half = halves[0];
  if constexpr (kLanes == 16) half = _mm256_add_ps(half, halves[kLanes / 8 - 1]);
  __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

// One key against Rows rows, which share its loads.
template <int Rows>
void scoreKey(const float* key, int64_t size, const float* q, int64_t qStride, float* scores,
              int64_t scoreStride) {
  Vector sums[Rows] = {};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const Vector k = at(key + i);
    for (int row = 0; row < Rows; ++row)
      sums[row] = multiplyAdd(at(q + row * qStride + i), k, sums[row]);
  }
  for (int row = 0; row < Rows; ++row) {
    float sum = sumOf(sums[row]);
    for (int64_t j = i; j < size; ++j) sum += q[row * qStride + j] * key[j];
    scores[row * scoreStride] = sum;
  }
}

void score(const PagedRows& rows, const float* q, int64_t qStride) {
  int64_t row = 0;
  for (; row + 4 <= rows.rows; row += 4)
    for (int64_t key = 0; key < rows.keys; ++key)
      scoreKey<4>(rows.block + key * rows.size, rows.size, q + row * qStride, qStride,
                  rows.scores + row * rows.scoreStride + key, rows.scoreStride);
  for (; row < rows.rows; ++row)
    for (int64_t key = 0; key < rows.keys; ++key)
      scoreKey<1>(rows.block + key * rows.size, rows.size, q + row * qStride, qStride,
                  rows.scores + row * rows.scoreStride + key, rows.scoreStride);
}

template <int Rows>
void mixRows(const PagedRows& rows, const float* scores, const float* factors, float* out) {
  int64_t i = 0;
  for (; i + kLanes <= rows.size; i += kLanes) {
    Vector sums[Rows];
    for (int row = 0; row < Rows; ++row)
      sums[row] = at(out + row * rows.size + i) * splat(factors[row]);
    for (int64_t key = 0; key < rows.keys; ++key) {
      const Vector value = at(rows.block + key * rows.size + i);
      for (int row = 0; row < Rows; ++row)
        sums[row] = multiplyAdd(splat(scores[row * rows.scoreStride + key]), value, sums[row]);
    }
    for (int row = 0; row < Rows; ++row) at(out + row * rows.size + i) = sums[row];
  }
  for (; i < rows.size; ++i)
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
