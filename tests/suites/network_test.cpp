// The API's Network: what it says of a model, changes to its interface, and engines built from it.

#include <carnot/error.h>
#include <carnot/network.h>
#include <carnot/report.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "suites/support/errors.h"
#include "suites/support/onnx_encoder.h"

namespace carnot::test {
namespace {

using testing::errorOf;
using Names = std::vector<std::string>;

std::string twoLayers() {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {"batch", 3}}};
  model.graph.initializers = {{.name = "w", .dims = {3, 2}, .floats = {1, 0, 0, 1, 1, 1}}};
  model.graph.nodes = {{"MatMul", {"x", "w"}, {"product"}, {}, "fc"},
                       {"Relu", {"product"}, {"y"}, {}, "act"}};
  model.graph.outputs = {{"y", 1, {"batch", 2}}};
  return model.encode();
}

std::span<const std::byte> bytesOf(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Network parsed(const std::string& model) { return Network::parse(bytesOf(model)); }

BuildOptions quick() {
  BuildOptions options;
  options.threads = 1;
  options.optimizationLevel = 0;
  options.timingCache = "none";
  return options;
}

std::vector<std::string> texts(const std::vector<TensorInfo>& infos) {
  std::vector<std::string> out;
  for (const TensorInfo& info : infos) out.push_back(info.name + " " + info.toString());
  return out;
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST(NetworkTest, TellsWhatTheModelSays) {
  Network network = parsed(twoLayers());
  EXPECT_EQ(texts(network.inputs()), Names{"x float32[batch, 3]"});
  EXPECT_EQ(texts(network.outputs()), Names{"y float32[batch, 2]"});
  ASSERT_EQ(network.layerCount(), 2u);
  NetworkLayer layer = network.layer(0);
  EXPECT_EQ(layer.name, "fc");
  EXPECT_EQ(layer.type, "MatMul");
  EXPECT_EQ(layer.inputs, (Names{"x", "w"}));
  EXPECT_EQ(layer.outputs, Names{"product"});
  EXPECT_EQ(layer.origins, Names{"fc"});
  EXPECT_EQ(network.tensor("product")->toString(), "float32[batch, 2]");
  EXPECT_FALSE(network.tensor("produce"));
  auto weights = network.constant("w");
  ASSERT_TRUE(weights);
  EXPECT_EQ(weights->dims, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(reinterpret_cast<const float*>(weights->data.data())[4], 1.0f);
  EXPECT_FALSE(network.constant("x"));
  EXPECT_CONTAINS(errorOf([&] { network.layer(2); }), "0 to 1");
}

TEST(NetworkTest, TensorsKeepTheModelsNamesBesideEqualNodeNames) {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {2}}};
  model.graph.nodes = {{"Relu", {"x"}, {"a"}, {}, "a"}, {"Neg", {"a"}, {"b"}, {}, "b"}};
  model.graph.outputs = {{"b", 1, {2}}};
  Network network = parsed(model.encode());
  EXPECT_EQ(network.layer(0).name, "a");
  EXPECT_EQ(network.layer(0).outputs, Names{"a"});
  EXPECT_EQ(network.layer(1).inputs, Names{"a"});
}

TEST(NetworkTest, OutputsAreMarkedAndUnmarked) {
  Network network = parsed(twoLayers());
  network.markOutput("product");
  EXPECT_EQ(network.outputs().size(), 2u);
  EXPECT_CONTAINS(errorOf([&] { network.markOutput("product"); }), "output already");
  EXPECT_CONTAINS(errorOf([&] { network.markOutput("z"); }), "no tensor named z");
  Network copy = network;
  network.unmarkOutput("y");
  EXPECT_EQ(texts(network.outputs()), Names{"product float32[batch, 2]"});
  EXPECT_EQ(copy.outputs().size(), 2u);
  EXPECT_CONTAINS(errorOf([&] { network.unmarkOutput("prod"); }), "one of: product");

  Engine engine = build(network, quick());
  ASSERT_EQ(engine.outputs().size(), 1u);
  const float x[] = {1, 2, -4};
  float product[2];
  Context context = engine.createContext();
  context.setInputShape("x", std::vector<int64_t>{1, 3});
  context.setInput("x", x);
  context.setOutput("product", product);
  context.run();
  EXPECT_EQ(product[0], -3.0f);
  EXPECT_EQ(product[1], -2.0f);
  EXPECT_CONTAINS(errorOf([&] {
                    network.unmarkOutput("product");
                    build(network, quick());
                  }),
                  "without outputs");
}

TEST(NetworkTest, ShapesAreSetAndKeptOnError) {
  Network network = parsed(twoLayers());
  network.setInputShape("x", std::vector<int64_t>{4, 3});
  EXPECT_EQ(texts(network.outputs()), Names{"y float32[4, 2]"});
  network.setInputShape("x", std::vector<int64_t>{-1, 3});
  EXPECT_EQ(texts(network.outputs()), Names{"y float32[x_0, 2]"});
  EXPECT_CONTAINS(errorOf([&] {
                    network.setInputShape("x", std::vector<int64_t>{4, 5});
                  }),
                  "node fc");
  EXPECT_CONTAINS(errorOf([&] { network.setInputShape("x", std::vector<int64_t>{4}); }),
                  "2, as in");
  EXPECT_CONTAINS(errorOf([&] {
                    network.setInputShape("w", std::vector<int64_t>{4, 3});
                  }),
                  "no input named w");
  EXPECT_EQ(texts(network.outputs()), Names{"y float32[x_0, 2]"});
}

TEST(NetworkTest, TypesAndNamesOfTheInterfaceChange) {
  Network network = parsed(twoLayers());
  network.rename("x", "data");
  network.rename("y", "scores");
  network.setDType("data", DType::F16);
  network.setDType("scores", DType::F64);
  EXPECT_CONTAINS(errorOf([&] { network.rename("data", "scores"); }), "another");
  Engine engine = build(network, quick());
  EXPECT_EQ(texts(engine.inputs()), Names{"data float16[batch, 3]"});
  EXPECT_EQ(texts(engine.outputs()), Names{"scores float64[batch, 2]"});
  const uint16_t x[] = {0x3c00, 0x4000, 0x4200};  // 1, 2, 3
  double y[2];
  Context context = engine.createContext();
  context.setInputShape(0, std::vector<int64_t>{1, 3});
  context.setInput(0, x);
  context.setOutput(0, y);
  context.run();
  EXPECT_EQ(y[0], 4.0);
  EXPECT_EQ(y[1], 5.0);
}

TEST(NetworkTest, IssuesNameTheirNodes) {
  EXPECT_TRUE(Network::check(bytesOf(twoLayers())).empty());

  EncodedModel unknown;
  unknown.graph.inputs = {{"x", 1, {2}}};
  unknown.graph.nodes = {{"Relu", {"x"}, {"a"}},
                         {"Nothing", {"a"}, {"b"}, {}, "first"},
                         {"Relu", {"b"}, {"c"}},
                         {"Nothing", {"c"}, {"y"}, {}, "second"}};
  unknown.graph.outputs = {{"y", 1, {}, true}};
  std::vector<ParseIssue> issues = Network::check(bytesOf(unknown.encode()));
  ASSERT_EQ(issues.size(), 2u);
  EXPECT_EQ(issues[0].node, "first");
  EXPECT_EQ(issues[1].nodeIndex, 3);
  EXPECT_EQ(issues[1].operatorType, "Nothing");
  EXPECT_EQ(issues[1].code, ErrorCode::Unsupported);

  EncodedModel wrong;
  wrong.graph.inputs = {{"x", 1, {2, 3}}};
  wrong.graph.nodes = {{"Relu", {"x"}, {"a"}}, {"MatMul", {"a", "a"}, {"y"}, {}, "product"}};
  wrong.graph.outputs = {{"y", 1, {}, true}};
  issues = Network::check(bytesOf(wrong.encode()));
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].node, "product");
  EXPECT_EQ(issues[0].nodeIndex, 1);

  issues = Network::check(bytesOf("no model"));
  ASSERT_EQ(issues.size(), 1u);
  EXPECT_EQ(issues[0].nodeIndex, -1);
}

TEST(NetworkTest, ProfilesTimingsAndPermissions) {
  Network network = parsed(twoLayers());
  BuildOptions options = quick();
  options.optimizationLevel = 3;
  options.profiles = {{{{"x", {{1, 3}, {4, 3}, {8, 3}}}}}};
  options.permits = {DType::F16};
  std::string timings, log;
  options.timings = &timings;
  options.logLevel = Severity::Info;
  options.log = [&](Severity, std::string_view message) { log += std::string(message) + "\n"; };
  Engine engine = build(network, options);
  EXPECT_CONTAINS(log, "float16 is allowed: used for 0 of");
  ShapeRange range = engine.profileShapes(0).at("x");
  EXPECT_EQ(range.min, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(range.opt, (std::vector<int64_t>{4, 3}));
  EXPECT_EQ(range.max, (std::vector<int64_t>{8, 3}));
  EXPECT_THROW(engine.profileShapes(1), Error);

  std::string first = timings;
  EXPECT_EQ(build(network, options).serialize(), engine.serialize());
  EXPECT_EQ(timings, first);
  EXPECT_EQ(mergeTimings(first, ""), first);
  EXPECT_EQ(mergeTimings(first, first), first);
  EXPECT_THROW(mergeTimings(first, "{}"), Error);
  options.permits = {DType::I8};
  EXPECT_CONTAINS(errorOf([&] { build(network, options); }), "a float type");
}

TEST(NetworkTest, LayersTellOfThemselves) {
  Engine engine = build(parsed(twoLayers()), quick());
  auto names = nlohmann::json::parse(layerInformation(engine, false));
  auto whole = nlohmann::json::parse(layerInformation(engine, true));
  EXPECT_EQ(names["Bindings"], (nlohmann::json{"x", "y"}));
  ASSERT_EQ(whole["Layers"].size(), names["Layers"].size());
  const auto& layer = whole["Layers"].back();
  EXPECT_EQ(layer["Name"], names["Layers"].back());
  EXPECT_EQ(layer["Outputs"][0]["Name"], "y");
  EXPECT_EQ(layer["Outputs"][0]["Dimensions"], (nlohmann::json{-1, 2}));
  EXPECT_CONTAINS(layer["Metadata"].get<std::string>(), "act");
  size_t last = whole["Layers"].size() - 1;
  EXPECT_EQ(nlohmann::json::parse(layerInformation(engine, last, true)), layer);
  EXPECT_THROW(layerInformation(engine, last + 1, true), Error);

  Context context = engine.createContext();
  context.setInputShape(0, std::vector<int64_t>{1, 3});
  const float x[3] = {};
  float y[2];
  context.setInput(0, x);
  context.setOutput(0, y);
  Names timed;
  context.runTimed([&](std::string_view name, double milliseconds) {
    EXPECT_GE(milliseconds, 0);
    timed.emplace_back(name);
  });
  EXPECT_EQ(nlohmann::json(timed), names["Layers"]);
}

TEST(NetworkTest, WorkspaceLimitsAreReasonsForRefusal) {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {1, 8, 512, 512}}};
  EncodedTensor weights{.name = "w", .dims = {8, 8, 3, 3}};
  weights.floats.assign(8 * 8 * 9, 0.5f);
  model.graph.initializers = {weights};
  model.graph.nodes = {{"Conv", {"x", "w"}, {"y"}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}}};
  model.graph.outputs = {{"y", 1, {}, true}};
  BuildOptions options = quick();
  EXPECT_EQ(build(parsed(model.encode()), options).explain().find("bytes of workspace"),
            std::string::npos);
  options.workspaceBytes = 1;
  Engine engine = build(parsed(model.encode()), options);
  EXPECT_CONTAINS(engine.explain(), "bytes of workspace, 1 are allowed");
}

TEST(NetworkTest, ADeviceThatIsNotThereIsRefused) {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {4}}};
  model.graph.nodes = {{"Relu", {"x"}, {"y"}, {}}};
  model.graph.outputs = {{"y", 1, {}, true}};
  BuildOptions options = quick();
  options.device = "abacus";
  try {
    build(parsed(model.encode()), options);
    ADD_FAILURE() << "built for an abacus";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported) << error.what();
    EXPECT_NE(error.needs().find("cuda"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace carnot::test
