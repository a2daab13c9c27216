#include "base/version.h"

#include <gtest/gtest.h>

#include <regex>

namespace carnot {
namespace {

TEST(Version, IsThreeNumbers) {
  EXPECT_TRUE(std::regex_match(version(), std::regex(R"(\d+\.\d+\.\d+)"))) << version();
}

}  // namespace
}  // namespace carnot
