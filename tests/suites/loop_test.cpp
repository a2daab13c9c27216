// How regions become loops: the passes over a row, and the shapes of loops at concrete dims.

#include "codegen/loop.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codegen/loop_shape.h"

namespace carnot::test {
namespace {

Shape shapeOf(const std::vector<int64_t>& dims) { return Shape::of(dims); }

std::variant<Loop, std::string> describe(const std::string& text,
                                         const std::vector<std::vector<int64_t>>& inputs) {
  const Region region = Region::parse(text);
  std::vector<TensorType> types;
  for (const auto& dims : inputs) types.push_back({DType::F32, shapeOf(dims)});
  return describeLoop(region, inferRegion(region, types), {});
}

// "values kept, scalars: stores+folds of each pass"
std::string summary(const Loop& loop) {
  std::string text =
      fmt::format("{} kept, {} scalars:", loop.temporaries.size(), loop.scalars.size());
  for (const Loop::Pass& pass : loop.passes)
    text += fmt::format(" {}+{}", pass.elements.outputs.size(), pass.folds.size());
  return text;
}

struct PassCase {
  const char* region;
  std::vector<std::vector<int64_t>> inputs;
  const char* summary;
};

TEST(Loop, PassesFollowFromFolds) {
  const PassCase cases[] = {
      {"(a,b) c=Add(a,b) d=Relu(c) -> d", {{4, 8}, {8}}, "0 kept, 0 scalars: 1+0"},
      {"(a) b=Reduce{axes=[1]}(a) -> b", {{4, 8}}, "0 kept, 1 scalars: 0+1 0+0"},
      // The exponential is kept for the last pass; the maximum, the sum, its reciprocal are
      // scalars.
      {"(a) b=Softmax{axis=1}(a) -> b", {{4, 8}}, "1 kept, 3 scalars: 0+1 1+1 1+0"},
      // Subtracting is cheaper than keeping.
      {"(a,b) c=LayerNorm{axis=1}(a,b,_) -> c", {{4, 8}, {8}}, "0 kept, 4 scalars: 0+1 0+1 1+0"},
      // What comes before is computed once.
      {"(a) b=Gelu(a) c=Softmax{axis=1}(b) -> c", {{4, 8}}, "2 kept, 3 scalars: 1+1 1+1 1+0"},
      // An output is stored in the first pass that knows it.
      {"(a,b) c=Add(a,b) d=Softmax{axis=1}(c) -> c, d",
       {{4, 8}, {4, 8}},
       "1 kept, 3 scalars: 1+1 1+1 1+0"},
      // Two folds of one pass.
      {"(a) b=Reduce{axes=[1]}(a) c=Reduce{kind=7,axes=[1]}(a) d=Div(b,c) -> d",
       {{4, 8}},
       "0 kept, 2 scalars: 0+2 0+0"},
  };
  for (const PassCase& row : cases) {
    const auto loop = describe(row.region, row.inputs);
    ASSERT_TRUE(std::holds_alternative<Loop>(loop))
        << row.region << ": " << std::get<std::string>(loop);
    EXPECT_EQ(summary(std::get<Loop>(loop)), row.summary) << row.region;
  }
}

struct RefusalCase {
  const char* region;
  std::vector<std::vector<int64_t>> inputs;
  const char* reason;
};

TEST(Loop, WhatIsNoLoopSaysWhy) {
  const RefusalCase cases[] = {
      {"(a,b) c=MatMul(a,b) -> c", {{4, 8}, {8, 4}}, "MatMul is no loop over rows"},
      {"(a) b=Reduce{axes=[0]}(a) c=Reduce{axes=[1]}(a) d=Add(b,c) -> d",
       {{4, 8}},
       "reductions along different axes"},
      {"(a,b) c=Exp(b) d=Add(a,c) -> d, c", {{4, 8}, {8}}, "an output smaller than the loop"},
      {"(a,b) c=Softmax{axis=1}(b) d=Add(a,c) -> d",
       {{4, 8}, {4, 1}},
       "a reduction of a broadcast tensor"},
      {"(a) b=Reduce{axes=[]}(a) -> b", {{4}}, "a reduction along no axis"},
  };
  for (const RefusalCase& row : cases) {
    const auto loop = describe(row.region, row.inputs);
    ASSERT_TRUE(std::holds_alternative<std::string>(loop)) << row.region;
    EXPECT_EQ(std::get<std::string>(loop), row.reason);
  }
}

struct ShapeCase {
  const char* region;
  std::vector<std::vector<int64_t>> inputs;
  std::vector<int64_t> output;
  int block;          // 1: plain, 0: channels-last, else every tensor is blocked
  const char* shape;  // outer, rows, lanes, repeats x length, periods
};

std::string describeShape(const LoopShape& shape) {
  std::string text;
  for (int64_t extent : shape.outer) text += fmt::format("{} / ", extent);
  text += fmt::format("{} rows, ", shape.rows);
  if (shape.variant.alongLanes) text += fmt::format("{} lanes, ", shape.lanes);
  text += fmt::format("{} x {},", shape.repeats, shape.length);
  for (uint8_t period : shape.variant.period) text += fmt::format(" {}", period);
  return text;
}

TEST(LoopShape, AxesJoinWhereEveryTensorSteps) {
  const ShapeCase cases[] = {
      {"(a,b) c=Add(a,b) -> c", {{2, 3, 4}, {2, 3, 4}}, {2, 3, 4}, 1, "1 rows, 1 x 24, 0 0 0"},
      {"(a,b) c=Add(a,b) -> c", {{2, 3, 40}, {40}}, {2, 3, 40}, 1, "6 rows, 1 x 40, 0 0 0"},
      {"(a,b) c=Add(a,b) -> c", {{2, 3, 40}, {3, 1}}, {2, 3, 40}, 1, "2 / 3 rows, 1 x 40, 0 1 0"},
      // Rows of four with a tensor of four: it repeats itself along one long loop.
      {"(a,b) c=Add(a,b) -> c", {{50, 4}, {4}}, {50, 4}, 1, "1 rows, 1 x 200, 0 4 0"},
      {"(a) b=Softmax{axis=2}(a) -> b", {{2, 3, 40}}, {2, 3, 40}, 1, "6 rows, 1 x 40, 0 0"},
      {"(a) b=Softmax{axis=1}(a) -> b",
       {{2, 3, 40}},
       {2, 3, 40},
       1,
       "2 rows, 40 lanes, 1 x 3, 0 0"},
      {"(a) b=Reduce{axes=[0,2]}(a) -> b", {{2, 3, 40}}, {1, 3, 1}, 1, "3 rows, 2 x 40, 0 0"},
      // Channel blocks: a gate per channel repeats along the pixels; a pool runs along the lanes.
      {"(a,b) c=Mul(a,b) -> c",
       {{2, 20, 5, 6}, {2, 20, 1, 1}},
       {2, 20, 5, 6},
       16,
       "4 rows, 1 x 480, 0 16 0"},
      {"(a) b=Reduce{kind=1,axes=[2,3]}(a) -> b",
       {{2, 20, 5, 6}},
       {2, 20, 1, 1},
       16,
       "4 rows, 16 lanes, 1 x 30, 0 1 0"},
      // More than 64 bits count, of nothing.
      {"(a) b=Neg(a) -> b",
       {{0, int64_t{1} << 40, int64_t{1} << 40}},
       {0, int64_t{1} << 40, int64_t{1} << 40},
       1,
       "1 rows, 1 x 0, 1 0"},
      // Channels-last: vectors run along the channels.
      {"(a,b) c=Add(a,b) -> c",
       {{2, 20, 5, 6}, {2, 20, 5, 6}},
       {2, 20, 5, 6},
       0,
       "1 rows, 1 x 1200, 0 0 0"},
      {"(a,b) c=Mul(a,b) -> c",
       {{2, 20, 5, 6}, {2, 20, 1, 1}},
       {2, 20, 5, 6},
       0,
       "2 / 30 rows, 1 x 20, 0 0 0"},
      {"(a) b=Reduce{kind=1,axes=[2,3]}(a) -> b",
       {{2, 20, 5, 6}},
       {2, 20, 1, 1},
       0,
       "2 rows, 20 lanes, 1 x 30, 0 1 0"},
  };
  for (const ShapeCase& row : cases) {
    const auto described = describe(row.region, row.inputs);
    ASSERT_TRUE(std::holds_alternative<Loop>(described)) << row.region;
    const Loop& loop = std::get<Loop>(described);
    std::vector<OperandDims> operands;
    const Layout layout = row.block == 0   ? Layout::channelsLast()
                          : row.block == 1 ? Layout::plain()
                                           : Layout::channelBlocked(row.block);
    for (const Loop::Operand& operand : loop.operands) {
      if (operand.kind == Loop::Operand::Kind::Input)
        operands.push_back({row.inputs[static_cast<size_t>(operand.index)], layout});
      else if (operand.kind == Loop::Operand::Kind::Output)
        operands.push_back({row.output, layout});
      else
        operands.push_back({});
    }
    EXPECT_EQ(describeShape(shapeLoop(loop, operands, std::max(row.block, 1), 16)), row.shape)
        << row.region;
  }
}

}  // namespace
}  // namespace carnot::test
