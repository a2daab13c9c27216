#include <algorithm>
#include <array>
#include <cmath>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

struct Moments {
  double mean = 0, deviation = 0, least = 0, most = 0;
};

Moments momentsOf(const Tensor& tensor) {
  const std::vector<double> values = tensor.toDoubles();
  Moments moments{.least = *std::min_element(values.begin(), values.end()),
                  .most = *std::max_element(values.begin(), values.end())};
  const auto count = static_cast<double>(values.size());
  for (double value : values) moments.mean += value / count;
  for (double value : values) moments.deviation += std::pow(value - moments.mean, 2) / count;
  moments.deviation = std::sqrt(moments.deviation);
  return moments;
}

OnnxCase drawn(std::string type, std::map<std::string, OnnxAttribute> attributes) {
  attributes["shape"] = Ints{100, 200};
  return {.type = std::move(type), .attributes = std::move(attributes)};
}

TEST(OnnxRandom, UniformNumbersFillTheirRange) {
  const Moments m = momentsOf(runOnnx(drawn("RandomUniform", {{"low", -2.0}, {"high", 4.0}})));
  EXPECT_NEAR(m.mean, 1, 0.05);
  EXPECT_NEAR(m.deviation, 6 / std::sqrt(12), 0.05);
  EXPECT_GE(m.least, -2);
  EXPECT_LT(m.most, 4);
}

TEST(OnnxRandom, NormalNumbersHaveTheirMoments) {
  const Moments m = momentsOf(runOnnx(drawn("RandomNormal", {{"mean", 3.0}, {"scale", 2.0}})));
  EXPECT_NEAR(m.mean, 3, 0.05);
  EXPECT_NEAR(m.deviation, 2, 0.05);
  EXPECT_GT(m.most, 8);
}

TEST(OnnxRandom, OneSeedGivesTheSameNumbersAndAnotherOthers) {
  const auto with = [](double seed) { return runOnnx(drawn("RandomUniform", {{"seed", seed}})); };
  EXPECT_TRUE(with(1).sameBytes(with(1)));
  EXPECT_FALSE(with(1).sameBytes(with(2)));
}

TEST(OnnxRandom, BernoulliFollowsItsProbabilities) {
  Tensor p(DType::F32, {3, 4000});
  for (int64_t i = 0; i < p.count(); ++i)
    p.view().storeDouble(i, std::array{0.0, 0.25, 1.0}[static_cast<size_t>(i / 4000)]);
  const std::vector<double> hits = runOnnx({.type = "Bernoulli", .inputs = {p}}).toDoubles();
  EXPECT_EQ(std::count(hits.begin(), hits.begin() + 4000, 1), 0);
  EXPECT_NEAR(static_cast<double>(std::count(hits.begin() + 4000, hits.begin() + 8000, 1)), 1000,
              100);
  EXPECT_EQ(std::count(hits.begin() + 8000, hits.end(), 1), 4000);
}

TEST(OnnxRandom, MultinomialFollowsItsLogits) {
  Tensor logits(DType::F32, {1, 3});
  for (int64_t i = 0; i < 3; ++i)
    logits.view().storeDouble(i, std::log(std::array{0.1, 0.6, 0.3}[static_cast<size_t>(i)]));
  const Tensor classes = runOnnx(
      {.type = "Multinomial", .attributes = {{"sample_size", int64_t{8000}}}, .inputs = {logits}});
  EXPECT_EQ(classes.dtype(), DType::I32);
  const std::vector<double> values = classes.toDoubles();
  EXPECT_NEAR(static_cast<double>(std::count(values.begin(), values.end(), 1)), 4800, 200);
  EXPECT_NEAR(static_cast<double>(std::count(values.begin(), values.end(), 0)), 800, 150);
}

}  // namespace
}  // namespace carnot::test
