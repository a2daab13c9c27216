#include <gtest/gtest.h>

#include <carnot/error.h>

#include "suites/support/operator_run.h"

namespace carnot::test {
namespace {

TEST(Pointwise, BroadcastsLikeNumPy) {
  Tensor sum =
      runOperator1("Add", {floats({2, 1, 3}, {0, 1, 2, 3, 4, 5}), floats({2, 1}, {10, 20})});
  EXPECT_EQ(sum.dims(), (std::vector<int64_t>{2, 2, 3}));
  EXPECT_EQ(sum.toDoubles(), (std::vector<double>{10, 11, 12, 20, 21, 22, 13, 14, 15, 23, 24, 25}));
  EXPECT_EQ(runOperator1("Add", {floats({0, 3}, {}), floats({3}, {1, 2, 3})}).count(), 0);
}

TEST(Pointwise, IntegersWrapToTheirWidth) {
  EXPECT_EQ(
      runOperator1("Add", {ints({1}, {127}, DType::I8), ints({}, {1}, DType::I8)}).toInts()[0],
      -128);
}

struct ShapeCase {
  const char *a, *b, *type;
  size_t guards;
};

class Broadcast : public testing::TestWithParam<ShapeCase> {};

TEST_P(Broadcast, OfSymbolicShapes) {
  const ShapeCase& row = GetParam();
  Inferred result = inferOperator("Add", {{DType::F32, row.a}, {DType::F32, row.b}});
  EXPECT_EQ(result.type(), row.type);
  EXPECT_EQ(result.guards.size(), row.guards);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Broadcast,
    testing::Values(ShapeCase{"[batch, 3]", "[3]", "float32[batch, 3]", 0},
                    ShapeCase{"[batch, 1]", "[batch, seq]", "float32[batch, seq]", 0},
                    ShapeCase{"[batch, 3]", "[2, 3]", "float32[2, 3]", 1},
                    ShapeCase{"[1, seq]", "[batch, 1]", "float32[batch, seq]", 0},
                    ShapeCase{"[a]", "[b]", "float32[a]", 1},
                    ShapeCase{"[2*a]", "[b]", "float32[b]", 1},
                    ShapeCase{"[]", "[b]", "float32[b]", 0}));

TEST(Pointwise, RefusesWhatDoesNotBroadcast) {
  EXPECT_THROW(inferOperator("Add", {{DType::F32, "[2]"}, {DType::F32, "[3]"}}), Error);
  EXPECT_THROW(inferOperator("Add", {{DType::F32, "[2]"}, {DType::F64, "[2]"}}), Error);
  EXPECT_THROW(inferOperator("Add", {{DType::F32, "[2]"}}), Error);
}

TEST(Pointwise, FollowsContents) {
  Operand known = Operand(DType::I64, "[2]").holding({"batch", "3*seq"});
  EXPECT_EQ(inferOperator("Add", {known, ints({1}, {2})}).contents(), "batch + 2, 3*seq + 2");
  EXPECT_EQ(inferOperator("Add", {known, {DType::I64, "[2]"}}).contents(), "unknown");
}

}  // namespace
}  // namespace carnot::test
