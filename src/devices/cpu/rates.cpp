#include "devices/rates.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/tensor.h"
#include "base/threads.h"

namespace carnot {
namespace {

double multiplyAdd(int64_t rounds, float* sink) {
  float chains[16];
  for (int i = 0; i < 16; ++i) chains[i] = static_cast<float>(i);
  for (int64_t round = 0; round < rounds; ++round)
    for (float& chain : chains) chain = chain * 0.5f + 1.0f;
  for (float chain : chains) *sink += chain;
  return static_cast<double>(rounds) * 16 * 2;
}

uint64_t read(const std::byte* data, size_t bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i += sizeof sum) {
    uint64_t word;
    std::memcpy(&word, data + i, sizeof word);
    sum += word;
  }
  return sum;
}

constexpr RateLoops kPortable = {multiplyAdd, read};

const RateLoops& loopsFor(IsaSet isa) {
  if (isa.has(Isa::Avx512)) return kRateLoopsAvx512;
  return isa.has(Isa::Avx2) ? kRateLoopsAvx2 : kPortable;
}

// The best rate of a few tries: `work` gives what it did.
template <typename Work>
double bestRate(int tries, Work work) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    Clock::time_point start = Clock::now();
    double done = work();
    best = std::max(best, done / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

}  // namespace

MachineRates measureRates(ThreadPool& pool, IsaSet isa) {
  const RateLoops& loops = loopsFor(isa);
  int threads = pool.threads();
  std::vector<double> flops(threads);
  std::vector<float> sinks(threads * 16);
  MachineRates rates;
  rates.flops = bestRate(8, [&] {
    pool.run(threads,
             [&](int part) { flops[part] = loops.multiplyAdd(100'000, &sinks[part * 16]); });
    double sum = 0;
    for (double done : flops) sum += done;
    return sum;
  });
  constexpr size_t kBytes = size_t{64} << 20;
  std::shared_ptr<Buffer> buffer = Buffer::allocate(kBytes);
  auto* data = static_cast<std::byte*>(buffer->data());
  std::memset(data, 1, kBytes);
  size_t part = kBytes / threads / 512 * 512;
  std::vector<uint64_t> sums(threads * 8);
  rates.bytes = bestRate(4, [&] {
    pool.run(threads, [&](int i) { sums[i * 8] = loops.read(data + i * part, part); });
    return static_cast<double>(part) * threads;
  });
  return rates;
}

}  // namespace carnot
