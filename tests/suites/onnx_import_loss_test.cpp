#include <cmath>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

class OnnxLosses : public testing::TestWithParam<ImportCase> {};
TEST_P(OnnxLosses, GiveTheValuesOfTheSpecification) { expectImport(GetParam()); }

const ImportCase kLosses[] = {
    {"a loss a target",
     {.type = "NegativeLogLikelihoodLoss",
      .opset = 13,
      .attributes = {{"reduction", "none"}},
      .inputs = {iota({2, 3}), list({2, 0})}},
     {2},
     {-3, -4}},
    {"the mean over what is not ignored, whose class need not exist",
     {.type = "NegativeLogLikelihoodLoss",
      .opset = 13,
      .attributes = {{"ignore_index", int64_t{-9}}},
      .inputs = {iota({1, 2, 3}), ints({1, 3}, {0, -9, 1}, DType::I32)},
      .shapes = {{0, "[n, 2, d]"}, {1, "[n, d]"}}},
     {},
     {-3.5}},
    {"a mean by the weights of classes",
     {.type = "NegativeLogLikelihoodLoss",
      .opset = 13,
      .inputs = {iota({2, 2}), list({0, 1}), floats({2}, {3, 1})}},
     {},
     {-7.0 / 4}},
    {"halves whose sum no half holds",
     {.type = "NegativeLogLikelihoodLoss",
      .opset = 13,
      .attributes = {{"ignore_index", int64_t{5}}},
      .inputs = {floats({2, 1}, {-60000, -60000}, DType::F16), list({0, 0})}},
     {},
     {60000}},
    {"an ignored target of no probability",
     {.type = "NegativeLogLikelihoodLoss",
      .opset = 13,
      .attributes = {{"ignore_index", int64_t{0}}, {"reduction", "sum"}},
      .inputs = {floats({2, 2}, {-INFINITY, 0, 0, -2}), list({0, 1}), floats({2}, {1, 2})}},
     {},
     {4}},
    {"scores",
     {.type = "SoftmaxCrossEntropyLoss",
      .opset = 13,
      .attributes = {{"reduction", "sum"}},
      .inputs = {floats({1, 2, 2}, {0, 0, 0, 0}), ints({1, 2}, {0, 1})}},
     {},
     {2 * 0.6931472}},
};
INSTANTIATE_TEST_SUITE_P(Cases, OnnxLosses, testing::ValuesIn(kLosses));

TEST(OnnxImports, SoftmaxCrossEntropyLossGivesLogProbabilities) {
  EagerNode node({.type = "SoftmaxCrossEntropyLoss",
                  .opset = 13,
                  .inputs = {floats({1, 2}, {3, 3}), list({1})},
                  .outputs = 2});
  const std::vector<double> values = node.run()[1].toDoubles();
  ASSERT_EQ(values.size(), 2u);
  EXPECT_NEAR(values[0], -0.6931472, 1e-6);
}

}  // namespace
}  // namespace carnot::test
