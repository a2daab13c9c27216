#include "guarded_memory.h"

#include <gtest/gtest.h>

namespace carnot::test {

TEST(GuardedMemoryDeathTest, EndsTheTestAtAnAccessAround) {
  GuardedMemory last(100, 4), first(100, 64, GuardedMemory::Touching::First), readOnly(8, 8);
  readOnly.forbidWrites();
  auto byte = [](const GuardedMemory& memory, ptrdiff_t at) -> volatile char& {
    return static_cast<volatile char*>(memory.data())[at];
  };
  byte(last, 99) = 1;
  byte(first, 0) = 1;
  EXPECT_EQ(byte(readOnly, 7), static_cast<char>(0xC5));
  EXPECT_DEATH(byte(last, 100) = 1, "");
  EXPECT_DEATH(byte(first, -1) = 1, "");
  EXPECT_DEATH(byte(readOnly, 0) = 1, "");
  EXPECT_TRUE(last.intact() && first.intact());
  byte(last, -1) = 0;
  byte(first, 100) = 0;
  EXPECT_FALSE(last.intact() || first.intact());
}

}  // namespace carnot::test
