#include <carnot/report.h>
#include <carnot/runtime.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "kernels/parameters.h"
#include "sample_engine.h"
#include "suites/support/errors.h"

namespace carnot {
namespace {

using testing::errorOf;
using testing::SampleEngine;
using Floats = std::vector<float>;

// A step that the reference carries out.
EngineStep& reference(SampleEngine& sample, const std::string& name, const std::string& region,
                      std::vector<int32_t> inputs, std::vector<int32_t> outputs) {
  std::vector<std::string> symbols;
  for (const EngineSymbol& symbol : sample.data.symbols) symbols.push_back(symbol.name);
  Problem problem;
  problem.region = Region::parse(region);
  auto describe = [&](int32_t index) {
    const EngineTensor& tensor = sample.data.tensors[index];
    TensorDesc desc{tensor.dtype, {}, nullptr, true};
    for (const DimProgram& dim : tensor.dims) desc.shape.push(dim.toDim(symbols));
    return desc;
  };
  for (int32_t input : inputs) problem.inputs.push_back(describe(input));
  for (int32_t output : outputs) problem.outputs.push_back(describe(output));
  problem.device = hostTraits(1);
  problem.device.isa = {};
  EngineStep& step = sample.step(name, std::move(inputs), std::move(outputs), "reference");
  step.region = region;
  const Kernel* kernel = findKernel("reference");
  step.variants[0].revision = kernel->revision();
  Configuration plain{
      {}, plainLayouts(problem.inputs.size()), plainLayouts(problem.outputs.size())};
  step.variants[0].parameters = kernel->prepare(problem, plain).parameters;
  return step;
}

// y = relu(x w + b), flattened to [2*batch]; n = the number of rows as int64.
EngineData perceptron() {
  SampleEngine sample;
  int32_t x = sample.input("x", {"batch", "3"});
  int32_t ids = sample.input("ids", {"batch"}, DType::I64);
  int32_t w = sample.constant("w", Tensor::ofFloats({3, 2}, Floats{1, 2, 3, 4, 5, 6}));
  int32_t b = sample.constant("b", Tensor::ofFloats({2}, Floats{-30, 1}));
  int32_t t = sample.activation("t", {"batch", "2"});
  int32_t y = sample.output("y", {"2*batch"});
  int32_t shape = sample.shape("shape", {"batch"});
  int32_t doubled = sample.output("doubled", {"batch"}, DType::I64);
  sample.data.outputs.push_back(shape);
  reference(sample, "fc", "(a,b,c) d=MatMul(a,b) e=Add(d,c) f=Relu(e) -> f", {x, w, b}, {t});
  reference(sample, "flatten", "(a) b=Reshape{shape=[2*batch]}(a) -> b", {t}, {y});
  reference(sample, "double", "(a) b=Add(a,a) -> b", {ids}, {doubled});
  sample.data.profiles.push_back({{{1, 4, 8}}, false});
  sample.data.meta.explanation = R"({"steps":[]})";
  return sample.data;
}

Engine loaded() {
  std::vector<std::byte> bytes = serializeEngine(perceptron());
  return Engine::deserialize(bytes, {.verifyWeights = true, .threads = 2});
}

TEST(Api, RunsWhatItLoads) {
  std::string path = (std::filesystem::path(::testing::TempDir()) / "api.engine").string();
  loaded().save(path);
  Engine engine = Engine::load(path);
  std::filesystem::remove(path);
  Context context = engine.createContext();
  Floats x = {1, 2, 3, 0, 0, 0}, y(4);
  std::vector<int64_t> ids = {5, 6}, doubled(2), shape(1), dims = {2, 3};
  context.setInputShape("x", dims);
  context.setInputShape("ids", std::vector<int64_t>{2});
  ASSERT_EQ(context.outputShape("y").size(), 1u);
  EXPECT_EQ(context.outputShape("y")[0], 4);
  context.setInput("x", x.data());
  context.setInput("ids", ids.data());
  context.setOutput("y", y.data());
  context.setOutput("doubled", doubled.data());
  context.setOutput("shape", shape.data());
  context.run();
  EXPECT_EQ(y, (Floats{0, 29, 0, 1}));
  EXPECT_EQ(doubled, (std::vector<int64_t>{10, 12}));
  EXPECT_EQ(shape[0], 2);
  std::vector<std::string> seen;
  context.runWatched([&](const Context::LayerOutput& output) {
    seen.push_back(std::string(output.layer) + " " + std::string(output.tensor) + " " +
                   std::string(output.layout));
    EXPECT_EQ(output.shape.size(), output.dims.size());
    EXPECT_EQ(output.kernel, "reference");
    EXPECT_EQ(output.origins.size(), 1u);
    seen.back() += fmt::format(" {} {}", output.operators, fmt::join(output.inputs, ","));
  });
  EXPECT_EQ(seen,
            (std::vector<std::string>{"fc t plain MatMul+Add+Relu x", "flatten y plain Reshape t",
                                      "double doubled plain Add ids"}));
}

TEST(Api, DescribesItself) {
  Engine engine = loaded();
  ASSERT_EQ(engine.inputs().size(), 2u);
  EXPECT_EQ(engine.inputs()[0].toString(), "float32[batch, 3]");
  EXPECT_TRUE(engine.inputs()[0].isDynamic());
  EXPECT_EQ(engine.outputs()[0].toString(), "float32[2*batch]");
  EXPECT_EQ(engine.outputs()[2].toString(), "int64[1]");
  EXPECT_FALSE(engine.outputs()[2].isDynamic());
  EXPECT_EQ(engine.explain(), R"({"steps":[]})");
  EngineInfo info = engine.info();
  EXPECT_EQ(info.producer, "carnot test");
  EXPECT_EQ(info.isa, "portable");
  EXPECT_EQ(info.threads, 2);
  EXPECT_EQ(info.layers, 3u);
  EXPECT_EQ(info.weightBytes, 32u);
  ASSERT_EQ(info.profiles.size(), 1u);
  EXPECT_EQ(info.profiles[0].ranges[0].symbol, "batch");
  EXPECT_EQ(info.profiles[0].ranges[0].opt, 4);
  using Shapes = std::map<std::string, std::vector<int64_t>>;
  EXPECT_EQ(engine.typicalShapes(), (Shapes{{"x", {4, 3}}, {"ids", {4}}}));
  EXPECT_EQ(engine.typicalShapes({{"ids", {7}}}), (Shapes{{"x", {7, 3}}, {"ids", {7}}}));
  EXPECT_NE(errorOf([&] { engine.inputIndex("idx"); }).find("did you mean 'ids'?"),
            std::string::npos);
  EXPECT_NE(errorOf([&] {
              engine.typicalShapes({{"x", {7}}});
            }).find("float32[batch, 3]"),
            std::string::npos);
}

TEST(Api, BenchReportsEachLayer) {
  BenchOptions options{
      .shapes = {{"x", {5, 3}}}, .warmUpSeconds = 0, .iterations = 7, .seconds = 0};
  BenchReport report = bench(loaded(), options);
  EXPECT_EQ(report.iterations, 7);
  EXPECT_EQ(report.outputShapes["y"], (std::vector<int64_t>{10}));
  EXPECT_LE(report.minimum, report.median);
  EXPECT_LE(report.median, report.maximum);
  EXPECT_GT(report.throughput, 0);
  ASSERT_EQ(report.percentiles.size(), 3u);
  EXPECT_LE(report.percentiles[0].milliseconds, report.percentiles[2].milliseconds);
  EXPECT_GT(report.peakFlops, 0);
  EXPECT_GT(report.peakBytes, 0);
  ASSERT_EQ(report.layers.size(), 3u);
  const LayerReport& layer = report.layers[0];
  EXPECT_EQ(layer.operators, "MatMul+Add+Relu");
  EXPECT_EQ(layer.kernel, "reference");
  EXPECT_EQ(layer.origins, (std::vector<std::string>{"/fc"}));
  EXPECT_EQ(layer.flops, 2 * 5 * 3 * 2 + 2 * 5 * 2);
  EXPECT_EQ(layer.bytes, 4 * (15 + 6 + 2 + 10));
  EXPECT_EQ(layer.computeBound, layer.intensity > report.peakFlops / report.peakBytes);
  double share = 0;
  for (const LayerReport& one : report.layers) share += one.share;
  EXPECT_NEAR(share, 1, 1e-9);
  EXPECT_NE(errorOf([&] { bench(loaded(), {.percentiles = {101}}); }), "");
}

}  // namespace
}  // namespace carnot
