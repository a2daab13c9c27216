#include <immintrin.h>

#include "devices/rates.h"

namespace carnot {
namespace {

double multiplyAdd(int64_t rounds, float* sink) {
  __m512 chains[16];
  for (int i = 0; i < 16; ++i) chains[i] = _mm512_set1_ps(static_cast<float>(i));
  const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1.0f);
#pragma GCC unroll 1
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) chains[i] = _mm512_fmadd_ps(chains[i], half, one);
  }
  for (int i = 1; i < 16; ++i) chains[0] = _mm512_add_ps(chains[0], chains[i]);
  *sink += _mm512_cvtss_f32(chains[0]);
  return static_cast<double>(rounds) * 16 * 16 * 2;
}

uint64_t read(const std::byte* data, size_t bytes) {
  __m512i sums[8];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (size_t i = 0; i < bytes; i += sizeof sums) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k)
      sums[k] = _mm512_add_epi64(
          sums[k], _mm512_loadu_si512(reinterpret_cast<const __m512i*>(data + i) + k));
  }
  for (int k = 1; k < 8; ++k) sums[0] = _mm512_add_epi64(sums[0], sums[k]);
  alignas(__m512i) uint64_t lanes[sizeof(__m512i) / 8];
  _mm512_store_si512(reinterpret_cast<__m512i*>(lanes), sums[0]);
  return lanes[0];
}

}  // namespace

const RateLoops kRateLoopsAvx512 = {multiplyAdd, read};

}  // namespace carnot
