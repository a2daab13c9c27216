#include "kernels/cpu/bf16_loops.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>
#include <vector>

#include "base/tensor.h"
#include "devices/device.h"

namespace carnot::test {
namespace {

TEST(Bf16Loops, RoundAsSingleValuesDo) {
  if (!hostIsa().has(Isa::Avx512)) GTEST_SKIP() << "the processor has no AVX-512";
  std::vector<float> values;
  for (uint32_t bits : {0x00000000U, 0x80000000U, 0x3F808000U, 0x3F818000U, 0x3F808001U,
                        0x7F7FFFFFU, 0x7F800000U, 0xFF800000U, 0x7FC00000U, 0x7F800001U,
                        0xFFFFFFFFU, 0x7FFFFFFFU, 0x00000001U, 0x00008000U, 0x00008001U})
    values.push_back(std::bit_cast<float>(bits));
  std::mt19937 generator(5);
  while (values.size() < 3000)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(generator())));
  for (size_t count : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{33}, values.size()}) {
    std::vector<uint16_t> rounded(count + 1, 0xABCD);
    roundToBf16Avx512(values.data(), static_cast<int64_t>(count), rounded.data());
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(rounded[i], floatToBfloat16(values[i]))
          << std::hex << std::bit_cast<uint32_t>(values[i]);
    EXPECT_EQ(rounded[count], 0xABCD) << "writes behind " << count;
  }
}

}  // namespace
}  // namespace carnot::test
