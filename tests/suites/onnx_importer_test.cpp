#include <carnot/error.h>
#include <gtest/gtest.h>

#include "frontend/onnx/import.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "suites/support/onnx_encoder.h"

namespace carnot::test {
namespace {

using Names = std::vector<std::string>;

Graph imported(const EncodedModel& model, const ImportOptions& options = {}) {
  auto bytes = std::make_shared<std::string>(model.encode());
  OnnxModel read = readOnnxBytes(std::as_bytes(std::span(bytes->data(), bytes->size())), bytes);
  Graph graph = importOnnx(read, options);
  verify(graph);
  return graph;
}

// The nodes' lines of the text form alone, without what they came from.
std::string nodesOf(const Graph& graph) {
  std::string text = printGraph(graph), nodes;
  for (size_t start = 0; start < text.size();) {
    size_t end = text.find('\n', start);
    std::string line = text.substr(start, end - start);
    start = end + 1;
    if (!line.starts_with("%")) continue;
    nodes += line.substr(0, line.find(" from \"")) + "\n";
  }
  return nodes;
}

std::string errorOf(const EncodedModel& model, const ImportOptions& options = {}) {
  try {
    imported(model, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

EncodedModel modelOf(EncodedNode node, std::vector<EncodedValue> inputs, int64_t opset = 17) {
  EncodedModel model;
  model.opset = opset;
  for (const std::string& output : node.outputs)
    model.graph.outputs.push_back({output, 0, {}, true});
  model.graph.inputs = std::move(inputs);
  model.graph.nodes = {std::move(node)};
  return model;
}

// --- the interface

struct InputCase {
  std::vector<EncodedValue> inputs;
  const char* types;
};

class OnnxInputs : public testing::TestWithParam<InputCase> {};

TEST_P(OnnxInputs, GetSymbols) {
  EncodedModel model;
  model.graph.inputs = GetParam().inputs;
  for (const EncodedValue& input : model.graph.inputs)
    model.graph.outputs.push_back({input.name, input.type, {}, true});
  Graph graph = imported(model);
  std::string types;
  for (const Value* input : graph.inputs)
    types += (types.empty() ? "" : " ") + input->name + ":" + input->type.toString();
  EXPECT_EQ(types, GetParam().types);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, OnnxInputs,
    testing::Values(InputCase{{{"x", 1, {"batch", 3}}}, "x:float32[batch, 3]"},
                    InputCase{{{"x", 1, {"", "?", -1}}}, "x:float32[x_0, x_1, x_2]"},
                    InputCase{{{"x", 1, {"n"}}, {"y", 7, {"n", "m"}}},
                              "x:float32[n] y:int64[n, m]"},
                    InputCase{{{"x", 1, {"x_1", ""}}}, "x:float32[x_1, x_1_]"},
                    InputCase{{{"x", 1, {"a"}}, {"y", 1, {"b"}}, {"z", 1, {"a + b"}}},
                              "x:float32[a] y:float32[b] z:float32[a + b]"},
                    InputCase{{{"x", 1, {"a + b"}}}, "x:float32['a + b']"},
                    InputCase{{{"x", 1, {"batch-size"}}}, "x:float32['batch-size']"},
                    InputCase{{{"x", 10, {}}}, "x:float16[]"}));

TEST(OnnxImporter, ShapesGivenByTheCaller) {
  EncodedModel model =
      modelOf({"Add", {"x", "y"}, {"z"}}, {{"x", 1, {"n", "m"}}, {"y", 1, {"n", 1}}});
  ImportOptions options;
  options.inputShapes["x"] = {Dim(2), Dim::symbol("width")};
  Graph graph = imported(model, options);
  EXPECT_EQ(graph.inputs[0]->type.toString(), "float32[2, width]");
  EXPECT_EQ(graph.inputs[1]->type.toString(), "float32[2, 1]");
  options.inputShapes["y"] = {Dim(3), Dim(1)};
  EXPECT_CONTAINS(errorOf(model, options), "2 and 3 for dim n");
  options.inputShapes = {{"x", {Dim(2)}}};
  EXPECT_CONTAINS(errorOf(model, options), "needs 2 dims");
  options.inputShapes = {{"xx", {Dim(2)}}};
  EXPECT_CONTAINS(errorOf(model, options), "did you mean x?");
}

TEST(OnnxImporter, AnInputWithoutShapeIsAskedFor) {
  EncodedModel model = modelOf({"Neg", {"x"}, {"y"}}, {{"x", 1, {}, true}});
  EXPECT_CONTAINS(errorOf(model), "give the shape of input x");
  ImportOptions options;
  options.inputShapes["x"] = {Dim(2)};
  EXPECT_EQ(imported(model, options).outputs[0]->type.toString(), "float32[2]");
}

TEST(OnnxImporter, InitializersAmongInputsAreConstants) {
  EncodedModel model = modelOf({"Add", {"x", "w"}, {"y"}}, {{"x", 1, {2}}, {"w", 1, {2}}});
  model.graph.initializers = {{.name = "w", .dims = {2}, .floats = {1, 2}}};
  Graph graph = imported(model);
  EXPECT_EQ(graph.inputs.size(), 1u);
  EXPECT_EQ(nodesOf(graph), "%y : float32[2] = Add(%x, %w)\n");
}

TEST(OnnxImporter, OutputsKeepTheirNames) {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {2}}};
  model.graph.initializers = {{.name = "w", .dims = {1}, .floats = {1}}};
  model.graph.nodes = {{"Relu", {"x"}, {"a"}},
                       {"Identity", {"a"}, {"b"}},
                       {"Identity", {"x"}, {"c"}},
                       {"Identity", {"w"}, {"d"}}};
  for (const char* name : {"b", "a", "c", "d", "x"})
    model.graph.outputs.push_back({name, 1, {}, true});
  Graph graph = imported(model);
  EXPECT_EQ(graph.outputNames, (Names{"b", "a", "c", "d", "x"}));
  EXPECT_EQ(graph.outputs[0], graph.outputs[1]);
  EXPECT_EQ(graph.outputs[2], graph.inputs[0]);
  EXPECT_TRUE(graph.outputs[3]->isConstant());
}

TEST(OnnxImporter, OutputsMustBeAsDeclared) {
  auto declared = [](EncodedValue output) {
    EncodedModel model = modelOf({"Relu", {"x"}, {"y"}}, {{"x", 1, {"n", 3}}});
    model.graph.outputs = {std::move(output)};
    return errorOf(model);
  };
  EXPECT_EQ(declared({"y", 1, {"other", 3}}), "no error");
  EXPECT_EQ(declared({"y", 1, {5, 3}}), "no error");
  EXPECT_CONTAINS(declared({"y", 1, {"n", 4}}), "declared with 4 in axis 1");
  EXPECT_CONTAINS(declared({"y", 1, {3}}), "declared with 1 dims");
  EXPECT_CONTAINS(declared({"y", 7, {"n", 3}}), "declared as int64");
  EXPECT_CONTAINS(declared({"z", 1, {"n", 3}}), "tensor z");
}

// --- what is refused

TEST(OnnxImporter, EveryUnsupportedTypeIsNamed) {
  EncodedModel model = modelOf({"Reluu", {"x"}, {"a"}, {}, "first"}, {{"x", 1, {2}}});
  model.graph.nodes.push_back({"ImageDecoder", {"a"}, {"b"}, {}, "second"});
  model.graph.nodes.push_back({"Fancy", {"b"}, {"c"}, {}, "third", "com.acme"});
  model.graph.nodes.push_back({"Gelu", {"c"}, {"d"}, {}, "fourth"});
  std::string text = errorOf(model);
  for (const char* part :
       {"Reluu (node first)", "ImageDecoder (node second)", "com.acme.Fancy (node third)",
        "Gelu (node fourth)", "near: Relu", "supported from opset 20"})
    EXPECT_CONTAINS(text, part);
}

TEST(OnnxImporter, ErrorsNameTheNode) {
  EncodedModel model =
      modelOf({"Add", {"x", "y"}, {"z"}, {}, "sum"}, {{"x", 1, {2}}, {"y", 1, {3}}});
  EXPECT_CONTAINS(errorOf(model), "model: node sum (Add): shapes [2] and [3]");
  model = modelOf({"LeakyRelu", {"x"}, {"y"}, {{"alpha", int64_t{1}}}}, {{"x", 1, {2}}});
  EXPECT_CONTAINS(errorOf(model), "node LeakyRelu_0 (LeakyRelu): attribute alpha is an integer");
  model = modelOf({"Neg", {"a"}, {"y"}}, {{"x", 1, {2}}});
  EXPECT_CONTAINS(errorOf(model), "tensor a is used before any node makes it");
  model = modelOf({"Neg", {"x"}, {"x"}}, {{"x", 1, {2}}});
  EXPECT_CONTAINS(errorOf(model), "tensor x is defined twice");
  model = modelOf({"Neg", {"x"}, {"y"}}, {{"x", 1, {2}}}, 99);
  EXPECT_CONTAINS(errorOf(model), "opset 99");
}

// --- functions and branches

TEST(OnnxImporter, FunctionsAreInlined) {
  EncodedModel model =
      modelOf({"Twice", {"x"}, {"y"}, {{"slope", 0.25f}}, "call", "own"}, {{"x", 1, {2}}});
  model.domains = {"own"};
  model.functions = {{"Twice",
                      "own",
                      {"p"},
                      {"r"},
                      {"slope"},
                      {{"rest", 0.5f}},
                      {{"LeakyRelu", {"p"}, {"q"}, {{"alpha", 0.f, "slope"}}, "one"},
                       {"LeakyRelu", {"q"}, {"r"}, {{"alpha", 0.f, "rest"}}}}}};
  Graph graph = imported(model);
  EXPECT_EQ(nodesOf(graph),
            "%call/one:0 : float32[2] = LeakyRelu{alpha=0.25}(%x)\n"
            "%y : float32[2] = LeakyRelu{alpha=0.5}(%call/one:0)\n");
  EXPECT_EQ(graph.nodes().front()->origins, Names{"call/one"});
}

TEST(OnnxImporter, RecursionIsRefused) {
  EncodedModel model = modelOf({"F", {"x"}, {"y"}, {}, "", "own"}, {{"x", 1, {2}}});
  model.domains = {"own"};
  model.functions = {{"F", "own", {"p"}, {"q"}, {}, {}, {{"F", {"p"}, {"q"}, {}, "", "own"}}}};
  EXPECT_CONTAINS(errorOf(model), "nested more than");
}

TEST(OnnxImporter, ABombOfFunctionsIsRefused) {
  EncodedModel model = modelOf({"F0", {"x"}, {"y"}, {}, "", "own"}, {{"x", 1, {2}}});
  model.domains = {"own"};
  for (int level = 0; level < 40; ++level) {
    std::string next = "F" + std::to_string(level + 1);
    model.functions.push_back(
        {"F" + std::to_string(level),
         "own",
         {"p"},
         {"r"},
         {},
         {},
         {{next, {"p"}, {"q"}, {}, "", "own"}, {next, {"q"}, {"r"}, {}, "", "own"}}});
  }
  model.functions.push_back({"F40", "own", {"p"}, {"p"}});
  EXPECT_CONTAINS(errorOf(model), "once functions are inlined");
}

EncodedModel withBranch(const EncodedNode& condition) {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {"n", 3}}};
  model.graph.outputs = {{"y", 1, {}, true}};
  model.graph.nodes = {
      condition,
      {"If",
       {"c"},
       {"y"},
       {{"then_branch", EncodedGraph{.outputs = {{"t"}}, .nodes = {{"Neg", {"x"}, {"t"}}}}},
        {"else_branch", EncodedGraph{.outputs = {{"e"}}, .nodes = {{"Abs", {"x"}, {"e"}}}}}},
       "choice"}};
  return model;
}

TEST(OnnxImporter, ABranchThatIsKnownIsTaken) {
  auto constant = [](int value) {
    return EncodedNode{
        "Constant", {}, {"c"}, {{"value", EncodedTensor{.type = 9, .int32s = {value}}}}};
  };
  EXPECT_EQ(nodesOf(imported(withBranch(constant(1)))), "%y : float32[n, 3] = Neg(%x)\n");
  EXPECT_EQ(nodesOf(imported(withBranch(constant(0)))), "%y : float32[n, 3] = Abs(%x)\n");
  EXPECT_CONTAINS(errorOf(withBranch({"Cast", {"x"}, {"c"}, {{"to", int64_t{9}}}})),
                  "elements of [n, 3] and of []");
}

TEST(OnnxImporter, WhatIsConstantIsComputed) {
  EncodedModel model;
  model.graph.inputs = {{"x", 1, {4, 6}}};
  model.graph.outputs = {{"y", 1, {}, true}};
  model.graph.initializers = {{.name = "half", .floats = {0.5f}},
                              {.name = "ends", .type = 7, .dims = {1}, .int64s = {-1}}};
  model.graph.nodes = {{"Shape", {"x"}, {"s"}},
                       {"Cast", {"s"}, {"f"}, {{"to", int64_t{1}}}},
                       {"Mul", {"f", "half"}, {"h"}},
                       {"Cast", {"h"}, {"i"}, {{"to", int64_t{7}}}},
                       {"Concat", {"i", "ends"}, {"target"}, {{"axis", int64_t{0}}}},
                       {"Reshape", {"x", "target"}, {"y"}}};
  EXPECT_EQ(nodesOf(imported(model)), "%y : float32[2, 3, 4] = Reshape{shape=[2, 3, 4]}(%x)\n");
}

// --- how the pointwise types are imported

struct MappingCase {
  EncodedNode node;
  int64_t opset;
  std::vector<EncodedValue> inputs;
  const char* nodes;  // each line without "%" and types: name = operator
};

class OnnxPointwise : public testing::TestWithParam<MappingCase> {};

// "%y : float32[2] = Add(%x, %w)" as "y = Add(x, w)".
std::string brief(const std::string& nodes) {
  std::string text;
  for (size_t start = 0; start < nodes.size();) {
    size_t end = nodes.find('\n', start);
    std::string line = nodes.substr(start, end - start);
    start = end + 1;
    size_t colon = line.find(" : "), equals = line.find(" = ");
    line = line.substr(0, colon) + line.substr(equals);
    std::erase(line, '%');
    text += (text.empty() ? "" : "; ") + line;
  }
  return text;
}

TEST_P(OnnxPointwise, IsImportedAs) {
  const MappingCase& row = GetParam();
  EXPECT_EQ(brief(nodesOf(imported(modelOf(row.node, row.inputs, row.opset)))), row.nodes);
}

EncodedNode node(const char* type, Names inputs, std::vector<EncodedNode::Named> attributes = {},
                 Names outputs = {"y"}) {
  return {type, std::move(inputs), std::move(outputs), std::move(attributes), "n"};
}
EncodedValue f32(const char* name, std::vector<std::variant<int64_t, std::string>> dims) {
  return {name, 1, std::move(dims)};
}
const EncodedValue kX = f32("x", {2, 3, 4, 5});

INSTANTIATE_TEST_SUITE_P(
    Cases, OnnxPointwise,
    testing::Values(
        MappingCase{node("Add", {"x", "b"}), 7, {kX, f32("b", {5})}, "y = Add(x, b)"},
        MappingCase{node("Add", {"x", "b"}, {{"broadcast", int64_t{1}}, {"axis", int64_t{1}}}),
                    6,
                    {kX, f32("b", {3, 4})},
                    "n:0 = Reshape{shape=[3, 4, 1]}(b); y = Add(x, n:0)"},
        MappingCase{node("Mul", {"x", "b"}, {{"broadcast", int64_t{1}}}),
                    1,
                    {kX, f32("b", {5})},
                    "y = Mul(x, b)"},
        MappingCase{node("Pow", {"x", "b"}, {{"broadcast", int64_t{1}}, {"axis", int64_t{-1}}}),
                    1,
                    {kX, f32("b", {5})},
                    "y = Pow(x, b)"},
        MappingCase{node("Greater", {"x", "b"}), 9, {kX, f32("b", {5})}, "y = Less(b, x)"},
        MappingCase{node("Greater", {"x", "b"}, {{"broadcast", int64_t{1}}, {"axis", int64_t{0}}}),
                    1,
                    {kX, f32("b", {2})},
                    "n:0 = Reshape{shape=[2, 1, 1, 1]}(b); y = Less(n:0, x)"},
        MappingCase{
            node("GreaterOrEqual", {"x", "b"}), 12, {kX, f32("b", {})}, "y = LessOrEqual(b, x)"},
        MappingCase{node("Sum", {"x", "b", "x"}),
                    8,
                    {kX, f32("b", {})},
                    "n:0 = Add(x, b); y = Add(n:0, x)"},
        MappingCase{
            node("Mean", {"x", "b"}), 8, {kX, f32("b", {})}, "n:0 = Add(x, b); y = Div(n:0, n)"},
        MappingCase{node("Max", {"x", "b", "x"}),
                    13,
                    {kX, f32("b", {})},
                    "n:0 = Max(x, b); y = Max(n:0, x)"},
        MappingCase{node("Clip", {"x"}, {{"min", 0.f}, {"max", 6.f}}),
                    6,
                    {kX},
                    "n:0 = Max(n, x); y = Min(n_1, n:0)"},
        MappingCase{node("Clip", {"x", "", "b"}), 11, {kX, f32("b", {})}, "y = Min(b, x)"},
        MappingCase{
            node("Clip", {"x", "b"}), 13, {kX, f32("b", {1})}, "n:0 = Reshape(b); y = Max(n:0, x)"},
        MappingCase{node("PRelu", {"x", "b"}),
                    6,
                    {kX, f32("b", {3})},
                    "n:0 = Reshape{shape=[3, 1, 1]}(b); y = PRelu(x, n:0)"},
        MappingCase{node("PRelu", {"x", "b"}), 9, {kX, f32("b", {3, 1, 1})}, "y = PRelu(x, b)"},
        MappingCase{node("Cast", {"x"}, {{"to", "INT32"}}), 1, {kX}, "y = Cast{to=int32}(x)"},
        MappingCase{node("Cast", {"x"}, {{"to", int64_t{17}}, {"saturate", int64_t{0}}}),
                    19,
                    {kX},
                    "y = Cast{saturate=false, to=float8e4m3fn}(x)"},
        MappingCase{
            node("CastLike", {"x", "b"}), 15, {kX, {"b", 10, {1}}}, "y = Cast{to=float16}(x)"},
        MappingCase{node("BitShift", {"x", "b"}, {{"direction", "RIGHT"}}),
                    11,
                    {{"x", 2, {3}}, {"b", 2, {3}}},
                    "y = BitShift{left=false}(x, b)"},
        MappingCase{node("IsInf", {"x"}, {{"detect_negative", int64_t{0}}}),
                    10,
                    {kX},
                    "y = IsInf{detectNegative=false}(x)"},
        MappingCase{
            node("Mod", {"x", "x"}, {{"fmod", int64_t{1}}}), 10, {kX}, "y = Mod{fmod=true}(x, x)"},
        MappingCase{node("Gelu", {"x"}, {{"approximate", "tanh"}}),
                    20,
                    {kX},
                    "y = Gelu{approximate=\"tanh\"}(x)"},
        MappingCase{node("Swish", {"x"}), 24, {kX}, "y = Silu(x)"},
        MappingCase{node("Swish", {"x"}, {{"alpha", 2.f}}),
                    24,
                    {kX},
                    "n:0 = Mul(x, n); n_1:0 = Sigmoid(n:0); y = Mul(x, n_1:0)"},
        MappingCase{node("Selu", {"x"}), 1, {kX}, "y = Selu{alpha=1.6732, gamma=1.0507}(x)"},
        MappingCase{node("Dropout", {"x"}), 13, {kX}, ""},
        MappingCase{node("Dropout", {"x"}, {}, {"y", "mask"}),
                    13,
                    {kX},
                    "mask = Expand{shape=[2, 3, 4, 5]}(n)"},
        MappingCase{node("Where", {"c", "x", "b"}),
                    16,
                    {{"c", 9, {1}}, kX, f32("b", {})},
                    "y = Where(c, x, b)"},
        MappingCase{
            node("BitCast", {"x"}, {{"to", int64_t{6}}}), 26, {kX}, "y = BitCast{to=int32}(x)"}));

}  // namespace
}  // namespace carnot::test
