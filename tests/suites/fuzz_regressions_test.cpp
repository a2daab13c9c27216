// Inputs that once made a fuzzer's target fail: tests/fuzz/regressions/<target>/.
#include <carnot/error.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <ostream>
#include <vector>

#include "base/files.h"
#include "fuzz/targets.h"

namespace carnot::test {
namespace {

struct Regression {
  const fuzz::Target* target;
  std::filesystem::path path;
};
void PrintTo(const Regression& row, std::ostream* out) { *out << row.path.string(); }

std::vector<Regression> regressions() {
  std::vector<Regression> all;
  for (const fuzz::Target& target : fuzz::kTargets) {
    const auto folder = std::filesystem::path("tests/fuzz/regressions") / target.name;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
      all.push_back({&target, entry.path()});
  }
  std::ranges::sort(all, {}, &Regression::path);
  return all;
}

class FuzzRegressions : public testing::TestWithParam<Regression> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FuzzRegressions);

TEST_P(FuzzRegressions, MadeSenseOfOrRefused) {
  const std::string bytes = readTextFile(GetParam().path);
  try {
    GetParam().target->run(std::as_bytes(std::span(bytes)));
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
  }
}

INSTANTIATE_TEST_SUITE_P(Inputs, FuzzRegressions, testing::ValuesIn(regressions()));

}  // namespace
}  // namespace carnot::test
