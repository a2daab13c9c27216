#include <carnot/error.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "suites/support/operator_run.h"

namespace carnot::test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// One operator on vectors of one length; integers and Bools are written as numbers.
struct ValueCase {
  const char* op;
  std::vector<DType> types;
  std::vector<std::vector<double>> inputs;
  DType resultType;
  std::vector<double> expected;
};

void PrintTo(const ValueCase& row, std::ostream* out) {
  *out << row.op << " on " << dtypeName(row.types[0]);
}

class PointwiseValues : public testing::TestWithParam<ValueCase> {};

Tensor tensorOf(DType dtype, const std::vector<double>& values) {
  auto count = static_cast<int64_t>(values.size());
  if (isFloat(dtype)) return floats({count}, values, dtype);
  return ints({count}, std::vector<int64_t>(values.begin(), values.end()), dtype);
}

TEST_P(PointwiseValues, AreAsDefined) {
  const ValueCase& row = GetParam();
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < row.inputs.size(); ++i)
    inputs.push_back(tensorOf(row.types[i], row.inputs[i]));
  Tensor result = runOperator1(row.op, inputs);
  EXPECT_EQ(result.dtype(), row.resultType);
  std::vector<double> values = result.toDoubles();
  ASSERT_EQ(values.size(), row.expected.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(row.expected[i])) {
      EXPECT_TRUE(std::isnan(values[i])) << i << ": " << values[i];
    } else if (std::isinf(row.expected[i])) {
      EXPECT_EQ(values[i], row.expected[i]) << i;
    } else {
      EXPECT_NEAR(values[i], row.expected[i], 1e-6 * (1 + std::abs(row.expected[i]))) << i;
    }
  }
}

using enum DType;

INSTANTIATE_TEST_SUITE_P(Quantization, PointwiseValues,
                         testing::Values(ValueCase{"QuantizeLinear{saturate=false}",
                                                   {F32, F32, F8E5M2},
                                                   {{1e6, -3, -0.0}, {2, 2, 2}, {0, 0, 0}},
                                                   F8E5M2,
                                                   {kInf, -1.5, -0.0}},
                                         ValueCase{"QuantizeLinear",
                                                   {F32, F32, F4E2M1},
                                                   {{-9, 3}, {1, 2}, {0, 0}},
                                                   F4E2M1,
                                                   {-6, 1.5}},
                                         ValueCase{"DequantizeLinear",
                                                   {F8E4M3FN, F32, F8E4M3FN},
                                                   {{448, -2}, {2, 2}, {0, 0}},
                                                   F32,
                                                   {896, -4}}));

INSTANTIATE_TEST_SUITE_P(
    Arithmetic, PointwiseValues,
    testing::Values(
        ValueCase{"Add", {I8, I8}, {{127, -128}, {1, -1}}, I8, {-128, 127}},
        ValueCase{"Sub", {U8, U8}, {{0, 5}, {1, 3}}, U8, {255, 2}},
        ValueCase{"Mul", {I32, I32}, {{65536, -3}, {65536, 7}}, I32, {0, -21}},
        ValueCase{"Mul", {F16, F16}, {{1.5, -2}, {3, 0.25}}, F16, {4.5, -0.5}},
        ValueCase{"Div", {F32, F32}, {{1, -1, 0}, {0, 0, 0}}, F32, {kInf, -kInf, kNaN}},
        ValueCase{"Div", {I32, I32}, {{7, -7, 7, 5}, {2, 2, -2, 0}}, I32, {3, -3, -3, 0}},
        ValueCase{"Div", {U16, U16}, {{65535}, {2}}, U16, {32767}},
        ValueCase{
            "Mod", {I64, I64}, {{7, -7, 7, -7, 3}, {3, 3, -3, -3, 0}}, I64, {1, 2, -2, -1, 0}},
        ValueCase{"Mod{fmod=true}", {I8, I8}, {{7, -7, 7, -7}, {3, 3, -3, -3}}, I8, {1, -1, 1, -1}},
        ValueCase{"Mod{fmod=true}", {F32, F32}, {{5.5, -5.5}, {2, 2}}, F32, {1.5, -1.5}},
        ValueCase{"Pow", {F32, F32}, {{2, 4, -8}, {3, 0.5, 0.5}}, F32, {8, 2, kNaN}},
        ValueCase{"Pow", {I32, I32}, {{2, -3, 2, -1}, {10, 3, -1, -3}}, I32, {1024, -27, 0, -1}},
        ValueCase{"Pow", {F32, I64}, {{2, 3}, {-1, 2}}, F32, {0.5, 9}},
        ValueCase{"Pow", {I32, F32}, {{9, 2}, {0.5, 3}}, I32, {3, 8}},
        ValueCase{"Pow", {F16, F32}, {{4, 2}, {0.5, 2}}, F16, {2, 4}},
        ValueCase{"Min", {F32, F32}, {{1, kNaN, 1}, {2, 1, kNaN}}, F32, {1, kNaN, kNaN}},
        ValueCase{"Max", {F32, F32}, {{1, kNaN, 1}, {2, 1, kNaN}}, F32, {2, kNaN, kNaN}},
        ValueCase{"Max", {U32, U32}, {{1, 4294967295}, {2, 0}}, U32, {2, 4294967295}},
        ValueCase{"BitShift", {U8, U8}, {{16, 129, 1}, {2, 1, 9}}, U8, {64, 2, 0}},
        ValueCase{"BitShift{left=false}", {U16, U16}, {{16, 3}, {2, 20}}, U16, {4, 0}},
        ValueCase{"BitwiseAnd", {I8, I8}, {{-1, 12}, {6, 10}}, I8, {6, 8}},
        ValueCase{"BitwiseOr", {U8, U8}, {{1, 12}, {6, 10}}, U8, {7, 14}},
        ValueCase{"BitwiseXor", {I64, I64}, {{-1, 12}, {0, 10}}, I64, {-1, 6}},
        ValueCase{"BitwiseNot", {U8}, {{0, 255}}, U8, {255, 0}},
        ValueCase{"Neg", {I8}, {{-128, 5}}, I8, {-128, -5}},
        ValueCase{"Abs", {I32}, {{-7, 7}}, I32, {7, 7}},
        ValueCase{"Abs", {BF16}, {{-0.5, 2}}, BF16, {0.5, 2}},
        ValueCase{"Sign", {F32}, {{-3, 0, 2, kNaN}}, F32, {-1, 0, 1, kNaN}},
        ValueCase{"Sign", {U8}, {{0, 200}}, U8, {0, 1}}));

INSTANTIATE_TEST_SUITE_P(
    Logic, PointwiseValues,
    testing::Values(
        ValueCase{"And", {Bool, Bool}, {{0, 0, 1, 1}, {0, 1, 0, 1}}, Bool, {0, 0, 0, 1}},
        ValueCase{"Or", {Bool, Bool}, {{0, 0, 1, 1}, {0, 1, 0, 1}}, Bool, {0, 1, 1, 1}},
        ValueCase{"Xor", {Bool, Bool}, {{0, 0, 1, 1}, {0, 1, 0, 1}}, Bool, {0, 1, 1, 0}},
        ValueCase{"Not", {Bool}, {{0, 1}}, Bool, {1, 0}},
        ValueCase{"Equal", {Bool, Bool}, {{0, 1}, {1, 1}}, Bool, {0, 1}},
        ValueCase{"Equal", {F32, F32}, {{kNaN, 0}, {kNaN, -0.0}}, Bool, {0, 1}},
        ValueCase{"Less", {U64, U64}, {{1, 2}, {2, 1}}, Bool, {1, 0}},
        ValueCase{"LessOrEqual", {F16, F16}, {{1, 2, kNaN}, {1, 1, 1}}, Bool, {1, 0, 0}},
        ValueCase{"Where", {Bool, F64, F64}, {{1, 0}, {1, 2}, {3, 4}}, F64, {1, 4}},
        ValueCase{"Where", {Bool, I8, I8}, {{1, 0}, {1, 2}, {3, 4}}, I8, {1, 4}},
        ValueCase{"IsNaN", {F16}, {{kNaN, kInf, 0}}, Bool, {1, 0, 0}},
        ValueCase{"IsInf", {F32}, {{kInf, -kInf, 0, kNaN}}, Bool, {1, 1, 0, 0}},
        ValueCase{"IsInf{detectNegative=false}", {F32}, {{kInf, -kInf}}, Bool, {1, 0}},
        ValueCase{"IsInf{detectPositive=false}", {F32}, {{kInf, -kInf}}, Bool, {0, 1}},
        ValueCase{
            "IsInf{detectNegative=false, detectPositive=false}", {F32}, {{kInf}}, Bool, {0}}));

INSTANTIATE_TEST_SUITE_P(
    Functions, PointwiseValues,
    testing::Values(ValueCase{"Sqrt", {F32}, {{4, -1}}, F32, {2, kNaN}},
                    ValueCase{"Reciprocal", {F32}, {{4, 0}}, F32, {0.25, kInf}},
                    ValueCase{"Exp", {F64}, {{1}}, F64, {std::exp(1.0)}},
                    ValueCase{"Log", {F32}, {{2, 0}}, F32, {std::log(2.0), -kInf}},
                    ValueCase{"Erf", {F32}, {{0.3}}, F32, {std::erf(0.3)}},
                    ValueCase{"Sin", {F32}, {{0.3}}, F32, {std::sin(0.3)}},
                    ValueCase{"Cos", {F32}, {{0.3}}, F32, {std::cos(0.3)}},
                    ValueCase{"Tan", {F32}, {{0.3}}, F32, {std::tan(0.3)}},
                    ValueCase{"Asin", {F32}, {{0.3}}, F32, {std::asin(0.3)}},
                    ValueCase{"Acos", {F32}, {{0.3}}, F32, {std::acos(0.3)}},
                    ValueCase{"Atan", {F32}, {{0.3}}, F32, {std::atan(0.3)}},
                    ValueCase{"Sinh", {F32}, {{0.3}}, F32, {std::sinh(0.3)}},
                    ValueCase{"Cosh", {F32}, {{0.3}}, F32, {std::cosh(0.3)}},
                    ValueCase{"Asinh", {F32}, {{0.3}}, F32, {std::asinh(0.3)}},
                    ValueCase{"Acosh", {F32}, {{1.3}}, F32, {std::acosh(1.3)}},
                    ValueCase{"Atanh", {F32}, {{0.3}}, F32, {std::atanh(0.3)}},
                    ValueCase{"Floor", {F32}, {{-1.5, 1.5}}, F32, {-2, 1}},
                    ValueCase{"Ceil", {F32}, {{-1.5, 1.5}}, F32, {-1, 2}},
                    ValueCase{"Round", {F32}, {{0.5, 1.5, 2.5, -0.5, -1.7}}, F32, {0, 2, 2, 0, -2}},
                    ValueCase{
                        "Sigmoid", {F32}, {{0, 1, -100}}, F32, {0.5, 1 / (1 + std::exp(-1.0)), 0}},
                    ValueCase{"Tanh", {F32}, {{0.3}}, F32, {std::tanh(0.3)}}));

double phi(double x) { return 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }
double phiByTanh(double x) {
  return 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

INSTANTIATE_TEST_SUITE_P(
    Activations, PointwiseValues,
    testing::Values(
        ValueCase{"Relu", {F32}, {{-1, 2, kNaN}}, F32, {0, 2, kNaN}},
        ValueCase{"Relu", {I8}, {{-1, 2}}, I8, {0, 2}},
        ValueCase{"LeakyRelu{alpha=0.1}", {F32}, {{-1, 2}}, F32, {-0.1, 2}},
        ValueCase{"PRelu", {F32, F32}, {{-1, 2}, {0.25, 9}}, F32, {-0.25, 2}},
        ValueCase{"PRelu", {I32, I32}, {{-4, 2}, {2, 9}}, I32, {-8, 2}},
        ValueCase{"ThresholdedRelu{alpha=2.0}", {F32}, {{2, 2.5, -3}}, F32, {0, 2.5, 0}},
        ValueCase{"Elu{alpha=2.0}", {F32}, {{-1, 1}}, F32, {2 * (std::exp(-1.0) - 1), 1}},
        ValueCase{"Selu",
                  {F32},
                  {{-1, 1}},
                  F32,
                  {1.0507010 * 1.6732632 * (std::exp(-1.0) - 1), 1.0507010}},
        ValueCase{"Celu{alpha=2.0}", {F32}, {{-1, 1}}, F32, {2 * (std::exp(-0.5) - 1), 1}},
        ValueCase{"HardSigmoid", {F32}, {{-9, 0, 1, 9}}, F32, {0, 0.5, 0.7, 1}},
        ValueCase{"HardSwish", {F32}, {{-4, 1, 4, kNaN}}, F32, {0, 2.0 / 3, 4, kNaN}},
        ValueCase{"Gelu", {F32}, {{-0.7, 1.3}}, F32, {-0.7 * phi(-0.7), 1.3 * phi(1.3)}},
        ValueCase{"Gelu{approximate=\"tanh\"}", {F32}, {{1.3}}, F32, {1.3 * phiByTanh(1.3)}},
        ValueCase{"Silu", {F32}, {{1, -1000}}, F32, {1 / (1 + std::exp(-1.0)), 0}},
        ValueCase{
            "Softplus", {F32}, {{1, 1000, -1000}}, F32, {std::log(1 + std::exp(1.0)), 1000, 0}},
        ValueCase{"Softsign", {F32}, {{-3}}, F32, {-0.75}},
        ValueCase{"Mish", {F32}, {{1}}, F32, {std::tanh(std::log(1 + std::exp(1.0)))}}));

constexpr double kMax8 = 448;

INSTANTIATE_TEST_SUITE_P(
    Casts, PointwiseValues,
    testing::Values(
        ValueCase{"Cast{to=int32}", {F32}, {{1.9, -1.9}}, I32, {1, -1}},
        ValueCase{"Cast{to=bool}", {F32}, {{0, -0.0, 0.1, kNaN}}, Bool, {0, 0, 1, 1}},
        ValueCase{"Cast{to=bool}", {I32}, {{0, 256}}, Bool, {0, 1}},
        ValueCase{"Cast{to=int8}", {I16}, {{200, -200}}, I8, {-56, 56}},
        ValueCase{"Cast{to=uint8}", {I32}, {{-1, 257}}, U8, {255, 1}},
        ValueCase{"Cast{to=float32}", {Bool}, {{0, 1}}, F32, {0, 1}},
        ValueCase{"Cast{to=float16}", {F32}, {{1e6, 1.0009765625}}, F16, {kInf, 1.0009765625}},
        ValueCase{"Cast{to=bfloat16}", {I64}, {{257, 3}}, BF16, {256, 3}},
        ValueCase{"Cast{to=uint4}", {U8}, {{31, 5}}, U4, {15, 5}},
        ValueCase{"Cast{to=int4}", {I8}, {{-8, 7, 9}}, I4, {-8, 7, -7}},
        ValueCase{"Cast{to=float8e4m3fn}",
                  {F32},
                  {{464, 1e6, -1e6, kNaN}},
                  F8E4M3FN,
                  {kMax8, kMax8, -kMax8, kNaN}},
        ValueCase{"Cast{saturate=false, to=float8e4m3fn}",
                  {F32},
                  {{464, 465, kInf, -500, 3}},
                  F8E4M3FN,
                  {kMax8, kNaN, kNaN, kNaN, 3}},
        ValueCase{"Cast{saturate=false, to=float8e5m2}",
                  {F32},
                  {{61439, 61440, -1e9, kNaN}},
                  F8E5M2,
                  {57344, kInf, -kInf, kNaN}},
        ValueCase{"Cast{saturate=false, to=float8e5m2fnuz}",
                  {F32},
                  {{61439, 61440, -1e9}},
                  F8E5M2FNUZ,
                  {57344, kNaN, kNaN}},
        ValueCase{"Cast{saturate=false, to=float8e4m3fnuz}",
                  {I32},
                  {{247, 248, -300}},
                  F8E4M3FNUZ,
                  {240, kNaN, kNaN}},
        ValueCase{"Cast{roundMode=\"down\", to=float8e8m0}", {F32}, {{3, 4, 5}}, F8E8M0, {2, 4, 4}},
        ValueCase{
            "Cast{roundMode=\"nearest\", to=float8e8m0}", {F32}, {{2.9, 3, 5}}, F8E8M0, {2, 4, 4}},
        ValueCase{"Cast{to=float8e8m0}", {F32}, {{2.1, 3, 4}}, F8E8M0, {4, 4, 4}},
        ValueCase{"Cast{roundMode=\"nearest\", saturate=false, to=float8e8m0}",
                  {F64},
                  {{0, 1e300, kInf, kNaN, 1}},
                  F8E8M0,
                  {kNaN, kNaN, kNaN, kNaN, 1}}));

TEST(Pointwise, BroadcastsLikeNumPy) {
  Tensor sum =
      runOperator1("Add", {floats({2, 1, 3}, {0, 1, 2, 3, 4, 5}), floats({2, 1}, {10, 20})});
  EXPECT_EQ(sum.dims(), (std::vector<int64_t>{2, 2, 3}));
  EXPECT_EQ(sum.toDoubles(), (std::vector<double>{10, 11, 12, 20, 21, 22, 13, 14, 15, 23, 24, 25}));
  EXPECT_EQ(runOperator1("Add", {floats({0, 3}, {}), floats({3}, {1, 2, 3})}).count(), 0);
}

TEST(Pointwise, LongTensorsCrossBlocks) {
  std::vector<double> values(1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  Tensor sum = runOperator1("Add", {floats({1000}, values), floats({1000}, values)});
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(sum.toDoubles()[i], 2 * values[i]);
}

TEST(Pointwise, BitCastKeepsBits) {
  Tensor bits = runOperator1("BitCast{to=int32}", {floats({2}, {1, -2})});
  EXPECT_EQ(bits.toInts(), (std::vector<int64_t>{0x3F800000, -0x40000000}));
  EXPECT_THROW(runOperator1("BitCast{to=int64}", {floats({1}, {1})}), Error);
}

struct ShapeCase {
  const char *a, *b, *type;
  size_t guards;
};

class Broadcast : public testing::TestWithParam<ShapeCase> {};

TEST_P(Broadcast, OfSymbolicShapes) {
  const ShapeCase& row = GetParam();
  Inferred result = inferOperator("Add", {{F32, row.a}, {F32, row.b}});
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

TEST(Pointwise, RefusesWhatDoesNotFit) {
  EXPECT_THROW(inferOperator("Add", {{F32, "[2]"}, {F32, "[3]"}}), Error);
  EXPECT_THROW(inferOperator("Add", {{F32, "[2]"}, {F64, "[2]"}}), Error);
  EXPECT_THROW(inferOperator("Add", {{F32, "[2]"}}), Error);
  EXPECT_THROW(inferOperator("Exp", {{I32, "[2]"}}), Error);
  EXPECT_THROW(inferOperator("Not", {{I32, "[2]"}}), Error);
  EXPECT_THROW(inferOperator("Where", {{I32, "[2]"}, {F32, "[2]"}, {F32, "[2]"}}), Error);
  EXPECT_THROW(inferOperator("Gelu{approximate=\"other\"}", {{F32, "[2]"}}), Error);
}

// Contents of shape arithmetic: a holds [batch, 3*seq], the result as text.
struct ContentsCase {
  const char* op;
  std::vector<int64_t> b;
  bool swapped;
  const char* contents;
};

class Contents : public testing::TestWithParam<ContentsCase> {};

TEST_P(Contents, AreFollowed) {
  const ContentsCase& row = GetParam();
  std::vector<Operand> inputs = {Operand(I64, "[2]").holding({"batch", "3*seq"})};
  if (!row.b.empty()) inputs.push_back(ints({static_cast<int64_t>(row.b.size())}, row.b));
  if (row.swapped) std::swap(inputs[0], inputs[1]);
  EXPECT_EQ(inferOperator(row.op, inputs).contents(), row.contents);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Contents,
    testing::Values(
        ContentsCase{"Add", {2}, false, "batch + 2, 3*seq + 2"},
        ContentsCase{"Sub", {1, 2}, true, "-batch + 1, -3*seq + 2"},
        ContentsCase{"Mul", {4, 2}, false, "4*batch, 6*seq"},
        ContentsCase{"Div", {1, 3}, false, "batch, seq"},
        ContentsCase{"Div", {2}, false, "floordiv(batch, 2), seq + floordiv(seq, 2)"},
        ContentsCase{"Div", {7, 7}, true, "unknown"}, ContentsCase{"Mod", {1, 3}, false, "0, 0"},
        ContentsCase{"Neg", {}, false, "-batch, -3*seq"},
        ContentsCase{"Abs", {}, false, "batch, 3*seq"},
        ContentsCase{"Max", {0}, false, "batch, 3*seq"}, ContentsCase{"Min", {0}, false, "0, 0"},
        ContentsCase{"Equal", {-1}, false, "0, 0"}, ContentsCase{"Equal", {1}, false, "unknown"},
        ContentsCase{"Equal", {-1, 1}, false, "0, 0"}, ContentsCase{"Less", {-2}, true, "1, 1"},
        ContentsCase{"Cast{to=int32}", {}, false, "batch, 3*seq"},
        ContentsCase{"Cast{to=float32}", {}, false, "unknown"},
        ContentsCase{"Sign", {}, false, "unknown"}));

TEST(PointwiseContents, ASelectionThatIsDecided) {
  Operand condition = Operand(Bool, "[2]").holding({"0", "1"});
  Operand a = Operand(I64, "[2]").holding({"batch", "seq"});
  EXPECT_EQ(inferOperator("Where", {condition, a, ints({}, {5})}).contents(), "5, seq");
  Operand unknown = Operand(Bool, "[2]");
  EXPECT_EQ(inferOperator("Where", {unknown, a, ints({}, {5})}).contents(), "unknown");
}

}  // namespace
}  // namespace carnot::test
