// What layers compute in when that is asked for layer by layer, and what is said of it.

#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/compile.h"
#include "ir/text.h"
#include "passes/pass.h"
#include "suites/support/evaluate_graph.h"

namespace carnot {
namespace {

constexpr std::string_view kNet = R"(graph net
input %x : float32[batch, 16]
const %w : float32[16, 32] = ...
const %b : float32[32] = ...
const %v : float32[32, 8] = ...
const %gamma : float32[32] = ...
%p : float32[batch, 32] = MatMul(%x, %w) from "p"
%a : float32[batch, 32] = Add(%p, %b) from "a"
%n : float32[batch, 32] = LayerNorm{axis=1}(%a, %gamma) from "n"
%g : float32[batch, 32] = Gelu(%n) from "g"
%e : float32[batch, 32] = Exp(%g) from "e"
%q : float32[batch, 8] = MatMul(%e, %v) from "q"
%y : float32[batch, 8] = Softmax{axis=1}(%q) from "y"
output %y
)";

struct Wish {
  const char* name;
  DType half;
  std::map<std::string, LayerPrecision, std::less<>> layers;
  std::string halves;  // nodes that then compute in 16 bits
};

void PrintTo(const Wish& wish, std::ostream* out) { *out << wish.name; }

const LayerPrecision kFloat{DType::F32, {}}, kHalf{DType::F16, {}}, kGivesHalf{{}, DType::F16};

const Wish kWishes[] = {
    {"None", DType::F32, {}, ""},
    {"Allowed", DType::F16, {}, "p a n g q y"},
    {"AllowedBf16", DType::BF16, {}, "p a n g q y"},
    {"OneStays", DType::F16, {{"p", kFloat}}, "q y"},
    {"NeighboursStay", DType::F16, {{"a", kFloat}, {"q", kFloat}}, "p"},
    {"OneAlone", DType::F32, {{"q", kHalf}}, "q"},
    {"UnsafeByRequest", DType::F16, {{"e", kHalf}}, "p a n g e q y"},
    {"RoundedOutput", DType::F32, {{"g", kGivesHalf}}, ""},
    {"Int8AsksNothing", DType::F16, {{"p", {DType::I8, {}}}}, "p a n g q y"},
};

class Wishes : public testing::TestWithParam<Wish> {};

TEST_P(Wishes, AreMetAndKeepTheResults) {
  const Wish& wish = GetParam();
  Graph before = parseGraph(kNet), after = parseGraph(kNet);
  PassOptions options;
  options.precision.half = wish.half;
  options.precision.layers = wish.layers;
  runPasses(after, Phase::Precision, options);
  std::string halves;
  for (const auto& node : after.nodes())
    if (node->opName() != "Cast" && dtypeBits(node->inputs[0]->type.dtype) == 16)
      halves += (halves.empty() ? "" : " ") + node->origins.at(0);
  EXPECT_EQ(halves, wish.halves) << printGraph(after);
  auto symbols = test::symbolValues(before);
  std::vector<Tensor> inputs = test::randomInputs(before, symbols);
  const double error = test::relativeError(test::evaluateGraph(after, inputs, symbols)[0],
                                           test::evaluateGraph(before, inputs, symbols)[0]);
  EXPECT_LE(error, wish.half == DType::BF16 ? 5e-2 : 5e-3);
  EXPECT_EQ(error > 0, !halves.empty() || wish.name == std::string("RoundedOutput"));
}

INSTANTIATE_TEST_SUITE_P(All, Wishes, testing::ValuesIn(kWishes),
                         [](const auto& info) { return info.param.name; });

TEST(Precision, LayersOfTheModelsOwnHalfMayBeAskedForFloat) {
  Graph graph = parseGraph(
      "graph g\ninput %x : float16[4]\n%a : float16[4] = Exp(%x) from \"a\"\n"
      "%y : float16[4] = Tanh(%a) from \"y\"\noutput %y\n");
  PassOptions options;
  options.precision.layers = {{"a", kFloat}};
  runPasses(graph, Phase::Precision, options);
  EXPECT_EQ(printGraph(graph),
            "graph g\ninput %x : float16[4]\n%a_1:0 : float32[4] = Cast(%x)\n"
            "%a : float32[4] = Exp(%a_1:0) from \"a\"\n%a_3:0 : float16[4] = Cast{to=float16}(%a)\n"
            "%y : float16[4] = Tanh(%a_3:0) from \"y\"\noutput %y\n");
  EXPECT_TRUE(unmetPrecisions(graph, options.precision).empty());
}

TEST(Precision, WhatStaysIsReportedWithItsReason) {
  Graph graph = parseGraph(kNet);
  PrecisionOptions precision{DType::F16, {{"q", kFloat}}};
  PassOptions options;
  options.precision = precision;
  runPasses(graph, Phase::Precision, options);
  PrecisionReport report = reportPrecision(graph, precision);
  EXPECT_EQ(report.half, 4u);
  EXPECT_EQ(report.float32, 3u);
  ASSERT_EQ(report.kept.size(), 3u);
  EXPECT_EQ(report.kept[0].reason, "Exp: it outgrows half");
  EXPECT_EQ(report.kept[0].nodes, std::vector<std::string>{"e"});
  EXPECT_EQ(report.kept[1].reason, "asked for");
  EXPECT_EQ(report.kept[2].reason, "no neighbour computes in half");
  precision.layers = {{"e", kHalf}};
  EXPECT_EQ(unmetPrecisions(graph, precision),
            std::vector<std::string>{"e (Exp) computes in float32, not float16"});
}

// The CPU has no kernel that computes in half: asked for in vain, in three ways.
TEST(Precision, OfSingleLayersOnTheCpu) {
  std::string log;
  CompileOptions options;
  options.device = hostTraits(1);
  options.optimizationLevel = 0;
  options.permits = {DType::F16};
  options.log = Log(Severity::Info,
                    [&](Severity, std::string_view text) { log += std::string(text) + "\n"; });
  options.layerPrecisions = {{"e", kHalf}};
  EXPECT_TRUE(compile(parseGraph(kNet), options));
  EXPECT_NE(log.find("float16 is allowed: used for 0 of 7 layers"), std::string::npos) << log;
  EXPECT_EQ(log.find("not float16"), std::string::npos) << log;
  options.precisionConstraints = PrecisionConstraints::Prefer;
  EXPECT_TRUE(compile(parseGraph(kNet), options));
  EXPECT_NE(log.find("e (Exp) computes in float32, not float16"), std::string::npos) << log;
  options.precisionConstraints = PrecisionConstraints::Obey;
  try {
    compile(parseGraph(kNet), options);
    ADD_FAILURE() << "a precision that cannot be had was obeyed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  }
  options.layerPrecisions = {{"e", kFloat}};
  EXPECT_TRUE(compile(parseGraph(kNet), options));
  options.layerPrecisions = {{"f", kFloat}};
  EXPECT_THROW(compile(parseGraph(kNet), options), Error);
}

// With the half graph's kernels: the references, where no other takes halves.
TEST(Precision, HalfGraphsCompileAndRunOnTheCpu) {
  Graph graph = parseGraph(kNet);
  PassOptions passes;
  passes.precision.half = DType::F16;
  runPasses(graph, Phase::Precision, passes);
  CompileOptions options;
  options.device = hostTraits(1);
  options.optimizationLevel = 0;
  EXPECT_TRUE(compile(std::move(graph), options));
}

}  // namespace
}  // namespace carnot
