// Convolutions that keep float32 where others may be rounded.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ir/text.h"
#include "passes/pass.h"
#include "passes/sensitive.h"
#include "tactics/tactics.h"

namespace carnot {
namespace {

constexpr std::string_view kConv = "Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}";

// `count` convolutions of 1 x 1 in a row, each with a Relu behind: c0, r0, c1, …
Graph chain(int count, int channels, int pixels = 8) {
  const std::string shape = fmt::format("float32[batch, {}, {}, {}]", channels, pixels, pixels);
  std::string text = fmt::format("graph chain\ninput %x : {}\n", shape);
  for (int i = 0; i < count; ++i)
    text += fmt::format("const %w{} : float32[{}, {}, 1, 1] = ...\n", i, channels, channels);
  std::string last = "x";
  for (int i = 0; i < count; ++i) {
    text += fmt::format("%c{0} : {1} = {2}(%{3}, %w{0}) from \"c{0}\"\n", i, shape, kConv, last);
    text += fmt::format("%r{0} : {1} = Relu(%c{0}) from \"r{0}\"\n", i, shape);
    last = fmt::format("r{}", i);
  }
  return parseGraph(text + fmt::format("output %{}\n", last));
}

std::string namesOf(const SensitiveLayers& layers) {
  std::string names;
  for (const auto& [name, why] : layers) names += (names.empty() ? "" : " ") + name;
  return names;
}

TEST(SensitiveLayers, BeginLongChains) {
  // The fewest channels are as fast in float32, so half need not take them.
  const Graph few = chain(27, 8), many = chain(27, 64);
  EXPECT_EQ(namesOf(sensitiveLayers(few, Rounding::Half)), "c0 c1");
  EXPECT_EQ(namesOf(sensitiveLayers(few, Rounding::Tf32)), "c0 c1");
  EXPECT_EQ(namesOf(sensitiveLayers(many, Rounding::Half)), "");
  EXPECT_EQ(namesOf(sensitiveLayers(many, Rounding::Tf32)), "c0 c1");
  EXPECT_EQ(sensitiveLayers(many, Rounding::Tf32).at("c0"),
            "26 convolutions behind it may amplify its errors");
  EXPECT_EQ(namesOf(sensitiveLayers(chain(25, 64), Rounding::Tf32)), "");
}

TEST(SensitiveLayers, AreThoseThatGainNothing) {
  const Graph graph = parseGraph(R"(graph g
input %x : float32[batch, 64, h, 8]
const %a : float32[64, 1, 3, 3] = ...
const %b : float32[64, 64, 1, 1] = ...
const %c : float32[64, 32, 1, 1] = ...
%bychannel : float32[batch, 64, h, 8] = Conv{strides=[1,1], pads=[1,1,1,1], dilations=[1,1], group=64}(%x, %a) from "bychannel"
%grouped : float32[batch, 64, h, 8] = Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=2}(%bychannel, %c) from "grouped"
%mean : float32[batch, 64, 1, 1] = Reduce{kind=1, axes=[2,3], keepDims=true}(%grouped) from "mean"
%one : float32[batch, 64, 1, 1] = Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}(%mean, %b) from "one"
%scaled : float32[batch, 64, h, 8] = Mul(%grouped, %one) from "scaled"
%y : float32[batch, 64, h, 8] = Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}(%scaled, %b) from "y"
output %y
)");
  for (Rounding rounding : {Rounding::Half, Rounding::Tf32}) {
    const SensitiveLayers layers = sensitiveLayers(graph, rounding);
    EXPECT_EQ(namesOf(layers), "bychannel one");
    EXPECT_EQ(layers.at("one"), "one pixel, which tensor cores do not speed up");
  }
}

// Convolutions of one pixel amplify little: they do not count.
TEST(SensitiveLayers, AreFewWhereResultsAreOnePixel) {
  const SensitiveLayers layers = sensitiveLayers(chain(30, 8, 1), Rounding::Half);
  EXPECT_EQ(layers.size(), 30u);
  EXPECT_EQ(layers.at("c0"), "one pixel, which tensor cores do not speed up");
}

std::string halvesOf(const PrecisionOptions& precision) {
  Graph graph = chain(3, 8);
  PassOptions options;
  options.precision = precision;
  runPasses(graph, Phase::Precision, options);
  std::string halves;
  for (const auto& node : graph.nodes())
    if (node->opName() != "Cast" && dtypeBits(node->inputs[0]->type.dtype) == 16)
      halves += (halves.empty() ? "" : " ") + node->origins.at(0);
  return halves;
}

TEST(SensitiveLayers, StayInFloatWithWhatTheirResultGoesThrough) {
  PrecisionOptions precision{.half = DType::F16, .layers = {}, .sensitive = {{"c1", "of this"}}};
  EXPECT_EQ(halvesOf(precision), "c0 r0 c2 r2");
  precision.layers = {{"c1", {DType::F16, {}}}};
  EXPECT_EQ(halvesOf(precision), "c0 r0 c1 r1 c2 r2");
}

TEST(SensitiveLayers, AreReportedWithTheirReason) {
  Graph graph = chain(2, 8);
  PassOptions options;
  options.precision = {.half = DType::F16, .layers = {}, .sensitive = {{"c0", "of this"}}};
  runPasses(graph, Phase::Precision, options);
  const PrecisionReport report = reportPrecision(graph, options.precision);
  EXPECT_EQ(report.half, 2u);
  ASSERT_EQ(report.kept.size(), 2u);
  EXPECT_EQ(report.kept[0].reason, "Conv: of this");
  EXPECT_EQ(report.kept[0].nodes, std::vector<std::string>{"c0"});
  EXPECT_EQ(report.kept[1].nodes, std::vector<std::string>{"r0"});
}

// What half would round alike for all elements stays in float32 where code of its own adds it.
TEST(SensitiveLayers, NumbersAndBiasesBehindConvolutionsStayInFloat) {
  const std::string_view text = R"(graph g
input %x : float32[2, 8, 4, 4]
const %w : float32[8, 8, 1, 1] = ...
const %b : float32[8] = ...
const %half : float32[1] = [0.5]
const %third : float32[1] = [0.3333333]
%c : float32[2, 8, 4, 4] = Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}(%x, %w, %b) from "c"
%h : float32[2, 8, 4, 4] = HardSwish(%c) from "h"
%m : float32[2, 8, 4, 4] = Mul(%h, %half) from "m"
%t : float32[2, 8, 4, 4] = Mul(%m, %third) from "t"
%d : float32[2, 8, 4, 4] = Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}(%t, %w, %b) from "d"
%y : float32[2, 8, 4, 4] = Relu(%d) from "y"
output %y
)";
  Graph graph = parseGraph(text);
  PassOptions options;
  options.precision.half = DType::F16;
  runPass(graph, findPass("half-precision"), options);
  std::string halves, floats;
  for (const auto& node : graph.nodes()) {
    if (node->opName() == "Cast") continue;
    std::string& names = dtypeBits(node->inputs[0]->type.dtype) == 16 ? halves : floats;
    names += fmt::format("{}{}{}", names.empty() ? "" : " ", node->opName(), node->inputs.size());
  }
  EXPECT_EQ(halves, "Conv2 Conv3 Relu1") << printGraph(graph);
  EXPECT_EQ(floats, "Add2 HardSwish1 Mul2 Mul2") << printGraph(graph);
}

TEST(SensitiveLayers, DoNotRoundToTf32) {
  Graph graph = chain(2, 8);
  runPasses(graph, Phase::Fuse, {});
  TacticOptions options;
  options.device.kind = "cuda";
  options.device.computeCapability = 90;
  options.tf32 = true;
  options.withoutTf32 = {{"c0", "of this"}};
  std::string rounds;
  for (const auto& node : graph.nodes()) {
    rounds += problemOf(*node, options).tf32 ? "y" : "n";
    EXPECT_EQ(whyWithoutTf32(*node, options), rounds == "n" ? "of this" : "");
  }
  EXPECT_EQ(rounds, "ny");
}

}  // namespace
}  // namespace carnot
