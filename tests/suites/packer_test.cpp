#include "engine/packer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace carnot {
namespace {

using Lifetimes = std::vector<Lifetime>;

void expectValid(const Lifetimes& lives, const Packing& packing) {
  ASSERT_EQ(packing.offsets.size(), lives.size());
  for (size_t i = 0; i < lives.size(); ++i) {
    EXPECT_EQ(packing.offsets[i] % 64, 0);
    EXPECT_GE(packing.offsets[i], 0);
    EXPECT_LE(packing.offsets[i] + lives[i].bytes, packing.totalBytes);
    for (size_t j = 0; j < i; ++j) {
      if (lives[i].last < lives[j].first || lives[j].last < lives[i].first) continue;
      EXPECT_TRUE(packing.offsets[i] + lives[i].bytes <= packing.offsets[j] ||
                  packing.offsets[j] + lives[j].bytes <= packing.offsets[i])
          << "buffers " << i << " and " << j << " overlap";
    }
  }
  EXPECT_GE(packing.totalBytes, liveBytesBound(lives));
}

// A chain with a residual edge over every third step, channels growing as the image shrinks, and a
// workspace in some steps.
Lifetimes convolutionLike(int steps, uint32_t seed) {
  std::mt19937 random(seed);
  Lifetimes lives;
  int64_t bytes = 3'211'264;
  for (int step = 0; step < steps; ++step) {
    if (step % 9 == 8) bytes = bytes / 2 + random() % 1000;
    int64_t scale = step % 3 == 2 ? 4 : 1;
    lives.push_back({bytes * scale, step, std::min(steps - 1, step + (step % 3 == 2 ? 4 : 1))});
    if (step % 5 == 0) lives.push_back({static_cast<int64_t>(random() % 900'000), step, step});
  }
  return lives;
}

// Blocks of projections, scores and a wide feed-forward, residuals across.
Lifetimes transformerLike(int blocks, int64_t hidden, int64_t scores) {
  Lifetimes lives;
  for (int block = 0; block < blocks; ++block) {
    int32_t at = block * 10;
    lives.push_back({hidden, at, at + 6});  // normed residual
    for (int i = 0; i < 3; ++i) lives.push_back({hidden, at + 1 + i, at + 4 + (i == 2)});
    lives.push_back({scores, at + 4, at + 5});
    lives.push_back({hidden, at + 5, at + 6});
    lives.push_back({hidden, at + 6, at + 9});
    lives.push_back({4 * hidden, at + 7, at + 8});
    lives.push_back({hidden, at + 8, at + 10});
  }
  return lives;
}

Lifetimes randomLike(int count, int steps, int longest, uint32_t seed) {
  std::mt19937 random(seed);
  Lifetimes lives;
  for (int i = 0; i < count; ++i) {
    int32_t first = static_cast<int32_t>(random() % steps);
    int32_t last = std::min<int32_t>(steps - 1, first + static_cast<int32_t>(random() % longest));
    lives.push_back({static_cast<int64_t>(random() % 5 ? random() % 100'000 : 0), first, last});
  }
  return lives;
}

TEST(Packer, StaysNearTheLowerBoundOnNetworks) {
  std::vector<Lifetimes> sets;
  for (uint32_t seed = 0; seed < 8; ++seed) sets.push_back(convolutionLike(60 + 20 * seed, seed));
  sets.push_back(transformerLike(6, 196'608, 786'432));
  sets.push_back(transformerLike(12, 1'572'864, 3'000'000));
  sets.push_back(transformerLike(24, 50'000, 7'777));
  for (size_t i = 0; i < sets.size(); ++i) {
    Packing packing = packOffsets(sets[i]);
    expectValid(sets[i], packing);
    double ratio = static_cast<double>(packing.totalBytes) / liveBytesBound(sets[i]);
    EXPECT_LE(ratio, 1.05) << "set " << i;
  }
}

TEST(Packer, NeverOverlapsLiveBuffers) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    int count = static_cast<int>(seed * 5);
    Lifetimes lives = randomLike(count, 1 + count / 2, 1 + static_cast<int>(seed % 17), seed);
    Packing packing = packOffsets(lives);
    expectValid(lives, packing);
    EXPECT_EQ(packOffsets(lives).offsets, packing.offsets) << "not deterministic";
    if (count > 0) {
      EXPECT_LE(packing.totalBytes, liveBytesBound(lives) * 1.25) << "seed " << seed;
    }
  }
}

// So many live at once that who lives with whom is not listed.
TEST(Packer, PacksManyThatLiveTogether) {
  Lifetimes all;
  for (int32_t i = 0; i < 50'000; ++i) all.push_back({100, i, 60'000});
  EXPECT_EQ(packOffsets(all).totalBytes, 50'000 * 128);
  EXPECT_EQ(liveBytesBound(all), 50'000 * 128);
  Lifetimes crowd = randomLike(6000, 4000, 9000, 3);
  Packing packing = packOffsets(crowd);
  EXPECT_LE(packing.totalBytes, liveBytesBound(crowd) * 1.25);
  std::erase_if(crowd, [](const Lifetime& life) { return life.bytes == 0; });
  packing = packOffsets(crowd);
  expectValid(crowd, packing);
}

TEST(Packer, PacksSpecialSets) {
  EXPECT_EQ(packOffsets({}).totalBytes, 0);
  EXPECT_EQ(liveBytesBound({}), 0);
  Lifetimes empty = {{0, 0, 5}, {0, 2, 2}};
  EXPECT_EQ(packOffsets(empty).totalBytes, 0);
  Lifetimes one = {{1, 0, 0}};
  EXPECT_EQ(packOffsets(one).totalBytes, 64);
  Lifetimes turns = {{100, 0, 1}, {100, 2, 3}, {100, 4, 4}};
  EXPECT_EQ(packOffsets(turns).totalBytes, 128);
  Lifetimes together = {{100, 0, 1}, {100, 1, 2}};
  EXPECT_EQ(packOffsets(together).totalBytes, 256);
}

TEST(Packer, RefusesSizesThatOverflow) {
  Lifetimes lives = {{INT64_MAX - 100, 0, 0}, {INT64_MAX - 100, 1, 1}};
  EXPECT_THROW(packOffsets(lives), Error);
  EXPECT_THROW(packOffsets(Lifetimes{{INT64_MAX, 0, 0}}), Error);
}

}  // namespace
}  // namespace carnot
