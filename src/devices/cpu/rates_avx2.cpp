#include <immintrin.h>

#include "devices/rates.h"

namespace carnot {
namespace {

double multiplyAdd(int64_t rounds, float* sink) {
  __m256 chains[12];
  for (int i = 0; i < 12; ++i) chains[i] = _mm256_set1_ps(static_cast<float>(i));
  const __m256 half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f);
#pragma GCC unroll 1
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) chains[i] = _mm256_fmadd_ps(chains[i], half, one);
  }
  for (int i = 1; i < 12; ++i) chains[0] = _mm256_add_ps(chains[0], chains[i]);
  *sink += _mm256_cvtss_f32(chains[0]);
  return static_cast<double>(rounds) * 12 * 8 * 2;
}

uint64_t read(const std::byte* data, size_t bytes) {
  __m256i sums[8];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (size_t i = 0; i < bytes; i += sizeof sums) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k)
      sums[k] = _mm256_add_epi64(
          sums[k], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data + i) + k));
  }
  for (int k = 1; k < 8; ++k) sums[0] = _mm256_add_epi64(sums[0], sums[k]);
  alignas(__m256i) uint64_t lanes[sizeof(__m256i) / 8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums[0]);
  return lanes[0];
}

}  // namespace

const RateLoops kRateLoopsAvx2 = {multiplyAdd, read};

}  // namespace carnot
