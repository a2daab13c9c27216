#include <gtest/gtest.h>

#include <carnot/error.h>

#include "suites/support/eager_node.h"
#include "suites/support/operator_run.h"

namespace carnot::test {
namespace {

using Dims = std::vector<std::string_view>;

Tensor list(std::vector<int64_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  return ints({count}, std::move(values));
}
Operand known(std::string_view shape, Dims dims) {
  return Operand(DType::I64, shape).holding(std::move(dims));
}

struct ContentsCase {
  const char* op;
  std::vector<Operand> inputs;
  const char* contents;
};
void PrintTo(const ContentsCase& row, std::ostream* out) { *out << row.op; }

class ShapeContents : public testing::TestWithParam<ContentsCase> {};

TEST_P(ShapeContents, AreFollowed) {
  const ContentsCase& row = GetParam();
  EXPECT_EQ(inferOperator(row.op, row.inputs).contents(), row.contents);
}

const Operand kText(DType::F32, "[batch, seq, 384]");
const Operand kList = known("[3]", {"batch", "seq", "384"});
const Operand kScalar = known("[]", {"seq"});

INSTANTIATE_TEST_SUITE_P(
    Cases, ShapeContents,
    testing::Values(
        ContentsCase{"ShapeOf{end=3}", {kText}, "batch, seq, 384"},
        ContentsCase{"ShapeOf{start=1, end=2}", {kText}, "seq"},
        ContentsCase{"ShapeOf", {kText}, ""}, ContentsCase{"Gather", {kList, ints({}, {1})}, "seq"},
        ContentsCase{"Gather", {kList, list({-1, 0})}, "384, batch"},
        ContentsCase{"Gather", {kList, {DType::I64, "[2]"}}, "unknown"},
        ContentsCase{"Gather", {{DType::I64, "[3]"}, ints({}, {1})}, "unknown"},
        ContentsCase{"Gather", {kList, known("[1]", {"1"})}, "seq"},
        ContentsCase{
            "Slice{axes=[0], steps=[1]}", {kList, list({1}), list({INT64_MAX})}, "seq, 384"},
        ContentsCase{"Slice{axes=[0], steps=[-1]}",
                     {kList, list({-1}), list({INT64_MIN})},
                     "384, seq, batch"},
        ContentsCase{"Concat",
                     {known("[1]", {"batch"}), list({12}), known("[1]", {"seq"})},
                     "batch, 12, seq"},
        ContentsCase{"Concat", {known("[1]", {"batch"}), {DType::I64, "[1]"}}, "unknown"},
        ContentsCase{"Reshape{shape=[1]}", {kScalar}, "seq"},
        ContentsCase{"Reshape{shape=[]}", {known("[1]", {"seq"})}, "seq"},
        ContentsCase{
            "Transpose{perm=[1,0]}", {known("[2, 2]", {"a", "b", "c", "d"})}, "a, c, b, d"},
        ContentsCase{"Expand{shape=[2, 2]}", {known("[2, 1]", {"a", "b"})}, "a, a, b, b"},
        ContentsCase{"Expand{shape=[n]}", {known("[1]", {"a"})}, "unknown"},
        ContentsCase{"Expand{shape=[65]}", {known("[1]", {"a"})}, "unknown"},
        ContentsCase{"Reduce{kind=4, axes=[0], keepDims=false}", {kList}, "384*batch*seq"},
        ContentsCase{"Reduce{kind=0, axes=[0]}", {kList}, "batch + seq + 384"},
        ContentsCase{"Reduce{kind=2, axes=[0]}", {list({2, 7})}, "7"},
        ContentsCase{"Range", {ints({}, {0}), ints({}, {3}), ints({}, {1})}, "0, 1, 2"},
        ContentsCase{"Range", {kScalar, known("[]", {"seq + 2"}), ints({}, {1})}, "seq, seq + 1"},
        ContentsCase{"GatherElements", {kList, list({2, 0})}, "384, batch"},
        ContentsCase{"GatherNd", {kList, ints({1, 1}, {1})}, "seq"},
        ContentsCase{
            "ScatterNd", {kList, ints({1, 1}, {2}), known("[1]", {"seq"})}, "batch, seq, seq"},
        ContentsCase{"ScatterElements", {kList, list({0}), list({5})}, "5, seq, 384"},
        ContentsCase{"Mul", {kList, list({1, 2, 1})}, "batch, 2*seq, 384"}));

struct ShapeCase {
  const char* op;
  std::vector<Operand> inputs;
  const char* type;  // "" when it is refused
};
void PrintTo(const ShapeCase& row, std::ostream* out) { *out << row.op; }

class SymbolicShapes : public testing::TestWithParam<ShapeCase> {};

TEST_P(SymbolicShapes, FollowFromContents) {
  const ShapeCase& row = GetParam();
  if (*row.type == 0)
    EXPECT_THROW(inferOperator(row.op, row.inputs), Error);
  else
    EXPECT_EQ(inferOperator(row.op, row.inputs).type(), row.type);
}

const Operand kTable(DType::I64, "[1, 512]");
INSTANTIATE_TEST_SUITE_P(
    Cases, SymbolicShapes,
    testing::Values(
        ShapeCase{"Slice{axes=[1], steps=[1]}",
                  {kText, list({0}), known("[1]", {"seq"})},
                  "float32[batch, seq, 384]"},
        ShapeCase{"Slice{axes=[1], steps=[1]}",
                  {kText, list({-1}), list({INT64_MAX})},
                  "float32[batch, -max(-seq + 1, 0) + 1, 384]"},
        ShapeCase{"Slice{axes=[2], steps=[1]}",
                  {kText, list({192}), list({INT64_MAX})},
                  "float32[batch, seq, 192]"},
        ShapeCase{"Slice{axes=[1], steps=[-1]}",
                  {kText, list({-1}), list({INT64_MIN})},
                  "float32[batch, seq, 384]"},
        ShapeCase{"Slice{axes=[1], steps=[-1]}",
                  {kText, list({INT64_MAX}), list({INT64_MIN})},
                  "float32[batch, seq, 384]"},
        ShapeCase{"Slice{axes=[1], steps=[1]}",
                  {kTable, known("[1]", {"past"}), known("[1]", {"past + seq"})},
                  "int64[1, max(-max(-past - seq + 512, 0) + max(-past + 512, 0), 0)]"},
        ShapeCase{"Slice{axes=[1], steps=[1]}", {kText, {DType::I64, "[1]"}, list({1})}, ""},
        ShapeCase{"Range", {ints({}, {0}), kScalar, ints({}, {1})}, "int64[seq]"},
        ShapeCase{"Range", {ints({}, {0}), kScalar, ints({}, {2})}, "int64[floordiv(seq + 1, 2)]"},
        ShapeCase{"Range", {ints({}, {0}), {DType::I64, "[]"}, ints({}, {1})}, ""},
        ShapeCase{"Pad",
                  {kText, known("[6]", {"0", "0", "0", "0", "8 - seq", "0"})},
                  "float32[batch, 8, 384]"},
        ShapeCase{"Reshape{shape=[batch, seq, 12, 32]}", {kText}, "float32[batch, seq, 12, 32]"},
        ShapeCase{"Expand{shape=[batch, seq, 384]}",
                  {{DType::F32, "[seq, 1]"}},
                  "float32[batch, seq, 384]"},
        ShapeCase{"Concat{axis=1}",
                  {kText, {DType::F32, "[batch, past, 384]"}},
                  "float32[batch, past + seq, 384]"}));

// Targets as exports compute them; at the symbols' values import and reference run too.
struct TargetCase {
  const char* type;
  const char* input;
  std::vector<std::string> target;
  const char* output;
};
void PrintTo(const TargetCase& row, std::ostream* out) { *out << row.type << ' ' << row.input; }

class ShapeTargets : public testing::TestWithParam<TargetCase> {};

TEST_P(ShapeTargets, AreResolved) {
  const TargetCase& row = GetParam();
  const Shape shape = Operand(DType::F32, row.input).type.shape;
  const std::map<std::string, int64_t> values = {{"batch", 2}, {"seq", 3}, {"h", 4}, {"w", 5}};
  Tensor x(DType::F32, shape.evaluate([&](const std::string& name) { return values.at(name); }));
  for (int64_t i = 0; i < x.count(); ++i) x.view().storeDouble(i, static_cast<double>(i));
  EagerNode node({.type = row.type,
                  .inputs = {x, Tensor{}},
                  .shapes = {{0, row.input}},
                  .contents = {{1, row.target}},
                  .symbols = values});
  node.run();
  EXPECT_EQ(node.outputType(0).toString(), row.output);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, ShapeTargets,
    testing::Values(
        TargetCase{
            "Reshape", "[batch, seq, 384]", {"0", "0", "12", "32"}, "float32[batch, seq, 12, 32]"},
        TargetCase{"Reshape",
                   "[batch, seq, 384]",
                   {"batch", "-1", "12", "32"},
                   "float32[batch, seq, 12, 32]"},
        TargetCase{
            "Reshape", "[batch, 12, seq, 32]", {"-1", "seq", "32"}, "float32[12*batch, seq, 32]"},
        TargetCase{"Reshape",
                   "[batch, seq + 1, 384]",
                   {"batch", "seq + 1", "-1"},
                   "float32[batch, seq + 1, 384]"},
        TargetCase{"Reshape", "[batch, 64, h, w]", {"0", "64", "-1"}, "float32[batch, 64, h*w]"},
        TargetCase{"Reshape",
                   "[batch, 64, h, w]",
                   {"batch", "32", "2", "h", "-1"},
                   "float32[batch, 32, 2, h, w]"},
        TargetCase{"Expand",
                   "[batch, 1, 1, seq]",
                   {"batch", "1", "seq", "seq"},
                   "float32[batch, 1, seq, seq]"},
        TargetCase{"Expand", "[1, seq]", {"batch", "1"}, "float32[batch, seq]"},
        TargetCase{"Tile", "[1, seq]", {"batch", "2"}, "float32[batch, 2*seq]"},
        TargetCase{"Pad", "[batch, seq]", {"0", "0", "0", "8 - seq"}, "float32[batch, 8]"}));

}  // namespace
}  // namespace carnot::test
