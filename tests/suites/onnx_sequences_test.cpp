#include <gtest/gtest.h>

#include "frontend/onnx/import.h"
#include "ir/text.h"
#include "ir/verify.h"
#include "suites/support/errors.h"
#include "suites/support/onnx_encoder.h"

namespace carnot::test {
namespace {

struct SequenceCase {
  const char* name;
  std::vector<EncodedNode> nodes;
  // Parts of the graph's text form, or of the error's.
  std::vector<std::string> says;
  std::vector<EncodedValue> inputs = {{"a", 1, {2, 3}}, {"b", 1, {2, "n"}}, {"i", 7, {}}};
  EncodedValue output = {"y", 0, {}, true};
};
void PrintTo(const SequenceCase& row, std::ostream* out) { *out << row.name; }

class OnnxSequenceNodes : public ::testing::TestWithParam<SequenceCase> {};

TEST_P(OnnxSequenceNodes, BecomeTensors) {
  EncodedModel model;
  model.graph.inputs = GetParam().inputs;
  model.graph.outputs = {GetParam().output};
  model.graph.nodes = GetParam().nodes;
  std::string text;
  const std::string error = carnot::testing::errorOf([&] {
    auto bytes = std::make_shared<std::string>(model.encode());
    const Graph graph =
        importOnnx(readOnnxBytes(std::as_bytes(std::span(bytes->data(), bytes->size())), bytes));
    verify(graph);
    text = printGraph(graph);
  });
  for (const std::string& part : GetParam().says)
    EXPECT_NE((text + error).find(part), std::string::npos) << part << " in\n" << text << error;
}

const EncodedNode kPair{"SequenceConstruct", {"a", "b"}, {"s"}};
EncodedNode constantOf(std::vector<int64_t> values, const char* name) {
  EncodedTensor tensor{.type = 7, .int64s = values};
  if (values.size() != 1) tensor.dims = {static_cast<int64_t>(values.size())};
  return {"Constant", {}, {name}, {{"value", tensor}}};
}

const SequenceCase kCases[] = {
    {"Tensors of a known sequence are those themselves",
     {kPair, constantOf({-1}, "last"), {"SequenceAt", {"s", "last"}, {"t"}}, {"Neg", {"t"}, {"y"}}},
     {"Neg(%b)"}},
    {"A known sequence is put together by Concat",
     {kPair, {"ConcatFromSequence", {"s"}, {"y"}, {{"axis", int64_t{1}}}}},
     {"Concat{axis=1}(%a, %b)"}},
    {"A position of a run asks for the packed form",
     {kPair, {"SequenceAt", {"s", "i"}, {"y"}}},
     {"SequenceAt{rank=2}"}},
    {"What is inserted and left out at known places costs nothing",
     {kPair,
      constantOf({0}, "first"),
      {"SequenceInsert", {"s", "b", "first"}, {"t"}},
      {"SequenceErase", {"t"}, {"u"}},
      {"SequenceAt", {"u", "first"}, {"v"}},
      {"Neg", {"v"}, {"y"}}},
     {"Neg(%b)"}},
    {"A length is a constant where known",
     {kPair, {"SequenceLength", {"s"}, {"n"}}, {"Add", {"n", "i"}, {"y"}}},
     {"Add(%"}},
    {"A split of a known extent is slices",
     {{"SplitToSequence", {"a"}, {"s"}, {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}}},
      constantOf({1}, "one"),
      {"SequenceAt", {"s", "one"}, {"y"}}},
     {"%y : float32[2] = Reshape", "Slice{axes=[1], steps=[1]}(%a"}},
    {"A sequence is given and taken as three tensors",
     {{"Identity", {"s"}, {"y"}}},
     {"%s:elements : float64[s_elements]", "%s:dims : int64[s_dims]", "%s:ranks : int64[s_length]"},
     {{"s", 11, {2}, false, 1}},
     {"y", 11, {}, true, 1}},
    {"An optional says beside them whether it is there",
     {{"OptionalGetElement", {"o"}, {"y"}}},
     {"%o:present : bool", "%o:value : float32[n]", "OptionalElement(%o:value, %o:present)"},
     {{"o", 1, {"n"}, false, 0, 1}}},
    {"What an optional holds is refused where it never holds anything",
     {{"Optional", {}, {"o"}}, {"OptionalGetElement", {"o"}, {"y"}}},
     {"an optional that holds nothing"}},
    {"A position beyond the end",
     {kPair, constantOf({2}, "two"), {"SequenceAt", {"s", "two"}, {"y"}}},
     {"position 2 in a sequence of 2; needs -2 to 1"}},
    {"Tensors of two types",
     {{"SequenceConstruct", {"a", "i"}, {"y"}}},
     {"tensors of float32 and int64"}},
    {"A sequence where a tensor belongs",
     {kPair, {"Neg", {"s"}, {"y"}}},
     {"input 0 is a sequence"}},
    {"A tensor where a sequence belongs",
     {{"SequenceLength", {"a"}, {"y"}}},
     {"input 0 is a tensor"}},
    {"A sequence of sequences",
     {{"Identity", {"s"}, {"y"}}},
     {"input s: a sequence of a sequence"},
     {{"s", 1, {2}, false, 2}}},
    {"Types within types without end",
     {{"Identity", {"s"}, {"y"}}},
     {"input s: a sequence of a sequence"},
     {{"s", 1, {2}, false, 200}}},
    {"A tensor of a sequence of unknown ranks",
     {{"SequenceAt", {"s", "i"}, {"y"}}},
     {"of an unknown number of dims"},
     {{"s", 1, {}, true, 1}, {"i", 7, {}}}},
    {"An empty sequence has nothing to put together",
     {{"SequenceEmpty", {}, {"s"}}, {"ConcatFromSequence", {"s"}, {"y"}, {{"axis", int64_t{0}}}}},
     {"an empty sequence to put together"}},
};
INSTANTIATE_TEST_SUITE_P(Cases, OnnxSequenceNodes, ::testing::ValuesIn(kCases));

}  // namespace
}  // namespace carnot::test
