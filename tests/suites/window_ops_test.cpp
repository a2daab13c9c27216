#include <gtest/gtest.h>

#include <carnot/error.h>

#include "suites/support/operator_run.h"

namespace carnot::test {
namespace {

Tensor iota(std::vector<int64_t> dims, double first = 1) {
  std::vector<double> values(static_cast<size_t>(elementCount(dims)));
  for (double& value : values) value = first++;
  return floats(std::move(dims), values);
}

struct ValueCase {
  const char* name;
  const char* op;
  std::vector<Tensor> inputs;
  std::vector<int64_t> dims;
  std::vector<double> values;
};
void PrintTo(const ValueCase& row, std::ostream* out) { *out << row.name; }

class WindowValues : public testing::TestWithParam<ValueCase> {};

TEST_P(WindowValues, AreThoseWorkedOutByHand) {
  const ValueCase& row = GetParam();
  Tensor y = runOperator1(row.op, row.inputs);
  EXPECT_EQ(y.dims(), row.dims);
  std::vector<double> values = y.toDoubles();
  ASSERT_EQ(values.size(), row.values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], row.values[i], 1e-6) << i;
}

const ValueCase kConvolutions[] = {
    {"plain",
     "Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}",
     {iota({1, 1, 3, 3}), floats({1, 1, 2, 2}, {1, 2, 3, 4})},
     {1, 1, 2, 2},
     {1 + 4 + 12 + 20, 2 + 6 + 15 + 24, 4 + 10 + 21 + 32, 5 + 12 + 24 + 36}},
    {"padded and strided, with a bias",
     "Conv{strides=[2], pads=[1,1], dilations=[1]}",
     {iota({1, 1, 4}), floats({1, 1, 3}, {1, 1, 1}), floats({1}, {100})},
     {1, 1, 2},
     {103, 109}},
    {"dilated",
     "Conv{strides=[1], pads=[0,0], dilations=[2]}",
     {iota({1, 1, 5}), floats({1, 1, 2}, {1, 10})},
     {1, 1, 3},
     {31, 42, 53}},
    {"grouped, two filters a group",
     "Conv{strides=[1], pads=[0,0], dilations=[1], group=2}",
     {iota({1, 2, 2}), floats({4, 1, 1}, {1, 2, 3, 4})},
     {1, 4, 2},
     {1, 2, 2, 4, 9, 12, 12, 16}},
    {"channels add up",
     "Conv{strides=[1], pads=[0,0], dilations=[1]}",
     {iota({2, 2, 1}), floats({1, 2, 1}, {1, 10})},
     {2, 1, 1},
     {21, 43}},
    {"transposed, windows overlap",
     "ConvTranspose{strides=[1], pads=[0,0], dilations=[1], outputPadding=[0]}",
     {iota({1, 1, 3}), floats({1, 1, 2}, {1, 10})},
     {1, 1, 4},
     {1, 12, 23, 30}},
    {"transposed, strided, cropped and extended",
     "ConvTranspose{strides=[2], pads=[1,0], dilations=[1], outputPadding=[1]}",
     {iota({1, 1, 2}), floats({1, 1, 2}, {1, 10}), floats({1}, {100})},
     {1, 1, 4},
     {110, 102, 120, 100}},
    {"transposed, grouped",
     "ConvTranspose{strides=[1], pads=[0,0], dilations=[1], outputPadding=[0], group=2}",
     {iota({1, 2, 1}), floats({2, 2, 1}, {1, 2, 3, 4})},
     {1, 4, 1},
     {1, 2, 6, 8}},
};
INSTANTIATE_TEST_SUITE_P(Convolutions, WindowValues, testing::ValuesIn(kConvolutions));

const ValueCase kPools[] = {
    {"max, padded",
     "MaxPool{kernel=[2], strides=[1], pads=[1,0], dilations=[1]}",
     {floats({1, 1, 3}, {-1, -2, -3})},
     {1, 1, 3},
     {-1, -1, -2}},
    {"max, the last partial window counts in ceil mode",
     "MaxPool{kernel=[2], strides=[2], pads=[0,0], dilations=[1], ceilMode=true}",
     {iota({1, 1, 5})},
     {1, 1, 3},
     {2, 4, 5}},
    {"max, a window that starts in the end's padding does not",
     "MaxPool{kernel=[1], strides=[2], pads=[0,0], dilations=[1], ceilMode=true}",
     {iota({1, 1, 2})},
     {1, 1, 1},
     {1}},
    {"average over what is inside",
     "AveragePool{kernel=[2], strides=[1], pads=[1,1], dilations=[1]}",
     {iota({1, 1, 2})},
     {1, 1, 3},
     {1, 1.5, 2}},
    {"average over the pads too",
     "AveragePool{kernel=[2], strides=[1], pads=[1,1], dilations=[1], countIncludePad=true}",
     {iota({1, 1, 2})},
     {1, 1, 3},
     {0.5, 1.5, 1}},
    {"average, beyond the pads never counts",
     "AveragePool{kernel=[3], strides=[2], pads=[0,0], dilations=[1], ceilMode=true, "
     "countIncludePad=true}",
     {iota({1, 1, 4})},
     {1, 1, 2},
     {2, 3.5}},
    {"p-norm",
     "LpPool{kernel=[2], strides=[1], pads=[0,0], dilations=[1], p=2}",
     {floats({1, 1, 3}, {3, -4, 3})},
     {1, 1, 2},
     {5, 5}},
};
INSTANTIATE_TEST_SUITE_P(Pools, WindowValues, testing::ValuesIn(kPools));

const ValueCase kProducts[] = {
    {"matrices", "MatMul", {iota({2, 2}), iota({2, 2})}, {2, 2}, {7, 10, 15, 22}},
    {"transposed a", "MatMul{transposeA=true}", {iota({2, 1}), iota({2, 1})}, {1, 1}, {5}},
    {"transposed b", "MatMul{transposeB=true}", {iota({1, 2}), iota({2, 2})}, {1, 2}, {5, 11}},
    {"vectors", "MatMul", {iota({3}), iota({3})}, {}, {14}},
    {"row by matrix", "MatMul", {iota({2}), iota({2, 2})}, {2}, {7, 10}},
    {"batches broadcast",
     "MatMul",
     {iota({2, 1, 1, 1}), iota({3, 1, 1})},
     {2, 3, 1, 1},
     {1, 2, 3, 2, 4, 6}},
    {"nothing to add up", "MatMul", {iota({2, 0}), iota({0, 1})}, {2, 1}, {0, 0}},
    {"integers wrap",
     "MatMul",
     {ints({1, 1}, {1 << 20}, DType::I32), ints({1, 1}, {1 << 12}, DType::I32)},
     {1, 1},
     {0}},
};
INSTANTIATE_TEST_SUITE_P(Products, WindowValues, testing::ValuesIn(kProducts));

TEST(WindowOps, MaxPoolIndicesCountThroughTheWholeInput) {
  auto indices = [](const char* op, Tensor x) { return runOperator(op, {std::move(x)}, 2)[1]; };
  Tensor x = floats({1, 2, 2, 2}, {1, 2, 4, 3, 9, 2, 4, 3});
  EXPECT_EQ(
      indices("MaxPool{kernel=[2,2], strides=[1,1], pads=[0,0,0,0], dilations=[1,1]}", x).toInts(),
      (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(indices("MaxPool{kernel=[2,2], strides=[1,1], pads=[0,0,0,0], dilations=[1,1], "
                    "storageOrder=1}",
                    x)
                .toInts(),
            (std::vector<int64_t>{1, 4}));
}

struct TypeCase {
  const char* op;
  std::vector<const char*> shapes;
  const char* type;  // "" when it is refused
  size_t guards = 0;
};
void PrintTo(const TypeCase& row, std::ostream* out) {
  *out << row.op;
  for (const char* shape : row.shapes) *out << ' ' << shape;
}

class WindowTypes : public testing::TestWithParam<TypeCase> {};

TEST_P(WindowTypes, FollowFromTheInputs) {
  const TypeCase& row = GetParam();
  std::vector<Operand> operands;
  for (const char* shape : row.shapes) operands.emplace_back(DType::F32, shape);
  if (*row.type == 0) {
    EXPECT_THROW(inferOperator(row.op, operands), Error);
    return;
  }
  Inferred result = inferOperator(row.op, operands);
  EXPECT_EQ(result.type(), row.type);
  EXPECT_EQ(result.guards.size(), row.guards);
}

constexpr const char* kConv = "Conv{strides=[2,2], pads=[1,1,1,1], dilations=[1,1]}";
constexpr const char* kPool = "MaxPool{kernel=[3], strides=[2], pads=[0,0], dilations=[1]}";
constexpr const char* kCeil =
    "MaxPool{kernel=[3], strides=[2], pads=[0,0], dilations=[1], ceilMode=true}";
INSTANTIATE_TEST_SUITE_P(
    Cases, WindowTypes,
    testing::Values(
        TypeCase{
            kConv, {"[n, 3, 224, w]", "[64, 3, 3, 3]"}, "float32[n, 64, 112, floordiv(w + 1, 2)]"},
        TypeCase{kConv, {"[n, c, 4, 4]", "[64, 3, 3, 3]"}, "float32[n, 64, 2, 2]", 1},
        TypeCase{kConv, {"[n, 4, 4, 4]", "[64, 3, 3, 3]"}, ""},
        TypeCase{kConv, {"[n, 3, 4]", "[64, 3, 3, 3]"}, ""},
        TypeCase{kConv, {"[n, 3, 0, 0]", "[64, 3, 3, 3]"}, "float32[n, 64, 0, 0]"},
        TypeCase{"Conv{strides=[1], pads=[0,0], dilations=[1]}", {"[n, 3, 2]", "[4, 3, 3]"}, ""},
        TypeCase{"Conv{strides=[1], pads=[0], dilations=[1]}", {"[n, 3, 2]", "[4, 3, 1]"}, ""},
        TypeCase{"Conv{strides=[0], pads=[0,0], dilations=[1]}", {"[n, 3, 2]", "[4, 3, 1]"}, ""},
        TypeCase{"Conv{strides=[1], pads=[0,0], dilations=[1], group=2}",
                 {"[n, 4, 2]", "[3, 2, 1]"},
                 ""},
        TypeCase{"ConvTranspose{strides=[2], pads=[1,1], dilations=[1], outputPadding=[0]}",
                 {"[n, 8, w]", "[8, 4, 4]"},
                 "float32[n, 4, 2*w]"},
        TypeCase{kPool, {"[n, c, w]"}, "float32[n, c, floordiv(w + 1, 2) - 1]"},
        TypeCase{kCeil, {"[n, c, 6]"}, "float32[n, c, 3]"},
        TypeCase{kCeil, {"[n, c, w]"}, "float32[n, c, floordiv(w, 2)]"},
        TypeCase{"MatMul",
                 {"[batch, 12, seq, 32]", "[batch, 12, 32, seq]"},
                 "float32[batch, 12, seq, seq]"},
        TypeCase{"MatMul{transposeB=true}",
                 {"[batch, seq, 384]", "[1536, 384]"},
                 "float32[batch, seq, 1536]"},
        TypeCase{"MatMul", {"[a, b]", "[c, d]"}, "float32[a, d]", 1},
        TypeCase{"MatMul", {"[2, 3]", "[2, 3]"}, ""}, TypeCase{"MatMul", {"[]", "[2, 3]"}, ""}));

}  // namespace
}  // namespace carnot::test
