#include <gtest/gtest.h>

#include "frontend/onnx/import.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "suites/support/errors.h"
#include "suites/support/onnx_encoder.h"

namespace carnot::test {
namespace {

EncodedNode constantOf(const char* name, int64_t value) {
  return {"Constant", {}, {name}, {{"value", EncodedTensor{.type = 7, .int64s = {value}}}}};
}

// As exporters write x.squeeze(-1): the last axis goes where it is of one element.
std::vector<EncodedNode> squeezeIf(std::vector<EncodedNode> condition) {
  std::vector<EncodedNode> nodes{constantOf("last", -1),
                                 constantOf("one", 1),
                                 {"Shape", {"x"}, {"shape"}},
                                 {"Gather", {"shape", "last"}, {"size"}}};
  nodes.insert(nodes.end(), condition.begin(), condition.end());
  nodes.push_back(
      {"If",
       {"c"},
       {"y"},
       {{"then_branch",
         EncodedGraph{
             .outputs = {{"t"}},
             .nodes = {{"Constant",
                        {},
                        {"axes"},
                        {{"value", EncodedTensor{.type = 7, .dims = {1}, .int64s = {-1}}}}},
                       {"Squeeze", {"x", "axes"}, {"t"}}}}},
        {"else_branch", EncodedGraph{.outputs = {{"e"}}, .nodes = {{"Neg", {"x"}, {"e"}}}}}},
       "squeeze"});
  return nodes;
}

struct BranchCase {
  const char* name;
  std::vector<EncodedNode> condition;
  const char* type;   // of y
  const char* guard;  // "a == b"
  std::vector<EncodedNode> rest = {};
  std::vector<int64_t> usual = {};
};
void PrintTo(const BranchCase& row, std::ostream* out) { *out << row.name; }

Graph importedSqueeze(const BranchCase& row) {
  EncodedModel model;
  model.opset = 17;
  model.graph.inputs = {{"x", 1, {"n", "m"}}, {"w", 1, {"m", 3}}, {"data", 9, {}}};
  model.graph.nodes = squeezeIf(row.condition);
  for (const EncodedNode& node : row.rest) model.graph.nodes.push_back(node);
  model.graph.outputs = {{model.graph.nodes.back().outputs[0], 0, {}, true}};
  ImportOptions options;
  if (!row.usual.empty()) options.usualShapes = {{"x", row.usual}};
  auto bytes = std::make_shared<std::string>(model.encode());
  Graph graph = importOnnx(
      readOnnxBytes(std::as_bytes(std::span(bytes->data(), bytes->size())), bytes), options);
  verify(graph);
  return graph;
}

class OnnxBranches : public ::testing::TestWithParam<BranchCase> {};

TEST_P(OnnxBranches, OfOtherRanksAreChosenByDims) {
  const BranchCase& row = GetParam();
  const Graph graph = importedSqueeze(row);
  EXPECT_EQ(graph.outputs[0]->type.toString(), row.type) << printGraph(graph);
  ASSERT_FALSE(graph.guards.empty());
  const Guard& guard = graph.guards[0];
  EXPECT_EQ(guard.a.toString() + " == " + guard.b.toString(), row.guard);
  EXPECT_NE(guard.what.find("_branch of squeeze"), std::string::npos) << guard.what;
}

const EncodedNode kEqual{"Equal", {"size", "one"}, {"c"}};
const BranchCase kCases[] = {
    {"The branch of the equality", {kEqual}, "float32[n]", "m == 1"},
    {"An equality that is denied",
     {{"Equal", {"size", "one"}, {"d"}}, {"Not", {"d"}, {"c"}}},
     "float32[n, m]",
     "m == 1",
     {{"Relu", {"y"}, {"z"}}},
     {1, 1}},
    {"Through casts",
     {{"Equal", {"size", "one"}, {"d"}},
      {"Cast", {"d"}, {"i"}, {{"to", int64_t{7}}}},
      {"Cast", {"i"}, {"c"}, {{"to", int64_t{9}}}}},
     "float32[n]",
     "m == 1"},
    {"The branch that the usual sizes take",
     {kEqual},
     "float32[n, m]",
     "max(-max(-m + 2, m) + 2, 0) == 0",
     {},
     {2, 5}},
    {"The branch that the rest takes",
     {kEqual},
     "float32[n, 3]",
     "max(-max(-m + 2, m) + 2, 0) == 0",
     {{"Gemm", {"y", "w"}, {"z"}}}},
    {"Less", {{"Less", {"size", "one"}, {"c"}}}, "float32[n]", "max(-m + 1, 0) == 1"},
};
INSTANTIATE_TEST_SUITE_P(Cases, OnnxBranches, ::testing::ValuesIn(kCases));

TEST(OnnxBranch, OfDataStaysOpen) {
  const std::string error = carnot::testing::errorOf([] {
    importedSqueeze({"", {{"Identity", {"data"}, {"c"}}}, "", ""});
  });
  EXPECT_NE(error.find("branches that give float32[n] and float32[n, m]"), std::string::npos)
      << error;
}

// The second asks what the first has settled.
TEST(OnnxBranch, IsChosenOnceForOneCondition) {
  const Graph graph = importedSqueeze(
      {"",
       {kEqual},
       "",
       "",
       {{"If",
         {"c"},
         {"z"},
         {{"then_branch", EncodedGraph{.outputs = {{"t2"}}, .nodes = {{"Abs", {"y"}, {"t2"}}}}},
          {"else_branch", EncodedGraph{.outputs = {{"e2"}}, .nodes = {{"Exp", {"y"}, {"e2"}}}}}},
         "second"}}});
  for (const Guard& guard : graph.guards)
    EXPECT_EQ(guard.what.find("of second"), std::string::npos) << guard.what;
  EXPECT_NE(printGraph(graph).find("= Abs("), std::string::npos) << printGraph(graph);
}

}  // namespace
}  // namespace carnot::test
