#include <limits>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

class OnnxQuantization : public testing::TestWithParam<ImportCase> {};
TEST_P(OnnxQuantization, GivesTheValuesOfTheSpecification) { expectImport(GetParam()); }

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

const ImportCase kQuantize[] = {
    {"ties to even, then the zero point, then saturation",
     {.type = "QuantizeLinear",
      .opset = 10,
      .inputs = {floats({6}, {1, 3, 5, -1000, 1000, 0}), floats({}, {2}),
                 ints({}, {3}, DType::U8)}},
     {6},
     {3, 5, 5, 0, 255, 3}},
    {"what is no number, and what no integer holds",
     {.type = "QuantizeLinear",
      .opset = 13,
      .inputs = {floats({4}, {kNaN, kInf, -kInf, 1e30}), floats({1}, {1}),
                 ints({1}, {0}, DType::I8)}},
     {4},
     {-128, 127, -128, 127}},
    {"int4 along an axis counted from the end",
     {.type = "QuantizeLinear",
      .opset = 21,
      .attributes = {{"axis", int64_t{-2}}},
      .inputs = {floats({2, 2}, {3, 30, 3, -30}), floats({2}, {1, 2}),
                 ints({2}, {0, 1}, DType::I4)}},
     {2, 2},
     {3, 7, 3, -8}},
    {"uint16 without a zero point, in blocks of which the last is short",
     {.type = "QuantizeLinear",
      .opset = 21,
      .attributes = {{"axis", int64_t{1}},
                     {"block_size", int64_t{2}},
                     {"output_dtype", int64_t{4}}},
      .inputs = {floats({1, 3}, {8, 8, 70000}), floats({1, 2}, {2, 1})}},
     {1, 3},
     {4, 4, 65535}},
    {"a half's quotient is rounded to a half",
     {.type = "QuantizeLinear",
      .opset = 23,
      .attributes = {{"precision", int64_t{10}}, {"output_dtype", int64_t{4}}},
      .inputs = {floats({1}, {4098.5}), floats({}, {1})}},
     {1},
     {4100}},
    {"types written as 0 are left to the inputs",
     {.type = "QuantizeLinear",
      .opset = 23,
      .attributes = {{"precision", int64_t{0}}, {"output_dtype", int64_t{0}}},
      .inputs = {floats({2}, {-300, 4}), floats({}, {2}), ints({}, {0}, DType::I8)}},
     {2},
     {-128, 2}},
    {"float8 saturates",
     {.type = "QuantizeLinear",
      .opset = 19,
      .inputs = {floats({2}, {1e6, -3}), floats({}, {2}), floats({}, {0}, DType::F8E4M3FN)}},
     {2},
     {448, -1.5}},
    {"scales along a symbolic axis",
     {.type = "QuantizeLinear",
      .opset = 13,
      .attributes = {{"axis", int64_t{0}}},
      .inputs = {floats({2, 1}, {6, 6}), floats({2}, {2, 3}), ints({2}, {0, 0}, DType::U8)},
      .shapes = {{0, "[n, 1]"}}},
     {2, 1},
     {3, 2}},
};
INSTANTIATE_TEST_SUITE_P(Quantize, OnnxQuantization, testing::ValuesIn(kQuantize));

const ImportCase kDequantize[] = {
    {"the zero point first",
     {.type = "DequantizeLinear",
      .opset = 10,
      .inputs = {ints({2}, {0, 255}, DType::U8), floats({}, {2}), ints({}, {128}, DType::U8)}},
     {2},
     {-256, 254}},
    {"int32 has none",
     {.type = "DequantizeLinear",
      .opset = 13,
      .inputs = {ints({2}, {-7, 9}, DType::I32), floats({}, {0.5})}},
     {2},
     {-3.5, 4.5}},
    {"int2 in blocks, to another type",
     {.type = "DequantizeLinear",
      .opset = 25,
      .attributes = {{"axis", int64_t{0}},
                     {"block_size", int64_t{2}},
                     {"output_dtype", int64_t{11}}},
      .inputs = {ints({4}, {1, -2, 1, -2}, DType::I2), floats({2}, {1, 10})}},
     {4},
     {1, -2, 10, -20}},
};
INSTANTIATE_TEST_SUITE_P(Dequantize, OnnxQuantization, testing::ValuesIn(kDequantize));

const ImportCase kProducts[] = {
    {"MatMulInteger, a zero point a row and a column",
     {.type = "MatMulInteger",
      .opset = 10,
      .inputs = {ints({2, 2}, {1, 2, 3, 4}, DType::U8), ints({2, 2}, {1, 0, 0, 1}, DType::I8),
                 ints({2}, {1, 2}, DType::U8), ints({2}, {0, 1}, DType::I8)}},
     {2, 2},
     {0, 0, 1, -1}},
    {"MatMulInteger, sums that no float32 holds",
     {.type = "MatMulInteger",
      .opset = 10,
      .inputs = {ints({1, 300}, std::vector<int64_t>(300, 255), DType::U8),
                 ints(
                     {300, 1},
                     [] {
                       std::vector<int64_t> ones(300, 255);
                       ones[0] = 254;
                       return ones;
                     }(),
                     DType::U8)}},
     {1, 1},
     {300 * 255 * 255 - 255}},
    {"ConvInteger pads with the zero point",
     {.type = "ConvInteger",
      .opset = 10,
      .attributes = {{"pads", Ints{1, 1}}},
      .inputs = {ints({1, 1, 2}, {12, 13}, DType::U8), ints({2, 1, 2}, {1, 2, 1, 2}, DType::I8),
                 ints({}, {10}, DType::U8), ints({2}, {0, 1}, DType::I8)}},
     {1, 2, 3},
     {4, 8, 3, 2, 3, 0}},
    {"QLinearMatMul",
     {.type = "QLinearMatMul",
      .opset = 21,
      .inputs = {ints({1, 2}, {3, 5}, DType::U8), floats({}, {0.5}), ints({}, {1}, DType::U8),
                 ints({2, 2}, {4, 40, 6, 60}, DType::U8), floats({2}, {0.5, 1}),
                 ints({2}, {0, 0}, DType::U8), floats({}, {0.25}), ints({}, {7}, DType::U8)}},
     {1, 2},
     {39, 255}},
    {"QLinearMatMul of float8",
     {.type = "QLinearMatMul",
      .opset = 21,
      .inputs = {floats({1, 1}, {3}, DType::F8E4M3FN), floats({}, {0.5}),
                 floats({}, {0}, DType::F8E4M3FN), floats({1, 1}, {4}, DType::F8E4M3FN),
                 floats({}, {1}), floats({}, {0}, DType::F8E4M3FN), floats({}, {2}),
                 floats({}, {0}, DType::F8E4M3FN)}},
     {1, 1},
     {3}},
    {"QLinearConv, a scale and a bias a channel",
     {.type = "QLinearConv",
      .opset = 10,
      .inputs = {ints({1, 1, 2}, {12, 8}, DType::U8), floats({}, {1}), ints({}, {10}, DType::U8),
                 ints({2, 1, 1}, {3, 3}, DType::I8), floats({2}, {1, 2}),
                 ints({2}, {0, 1}, DType::I8), floats({}, {1}), ints({}, {0}, DType::I8),
                 ints({2}, {1, 5}, DType::I32)}},
     {1, 2, 2},
     {7, -5, 18, 2}},
};
INSTANTIATE_TEST_SUITE_P(Products, OnnxQuantization, testing::ValuesIn(kProducts));

TEST(OnnxImports, DynamicQuantizeLinearSpansZero) {
  EagerNode node({.type = "DynamicQuantizeLinear",
                  .opset = 11,
                  .inputs = {floats({3}, {-51, 0, 204})},
                  .outputs = 3});
  const std::vector<Tensor> outputs = node.run();
  EXPECT_EQ(outputs[0].toDoubles(), (std::vector<double>{0, 51, 255}));
  EXPECT_EQ(outputs[1].toDoubles(), (std::vector<double>{1}));
  EXPECT_EQ(outputs[2].toDoubles(), (std::vector<double>{51}));
}

TEST(OnnxImports, DynamicQuantizeLinearOfZerosHasScaleOne) {
  EagerNode node({.type = "DynamicQuantizeLinear",
                  .opset = 11,
                  .inputs = {floats({2}, {0, 0})},
                  .outputs = 2});
  const std::vector<Tensor> outputs = node.run();
  EXPECT_EQ(outputs[0].toDoubles(), (std::vector<double>{0, 0}));
  EXPECT_EQ(outputs[1].toDoubles(), (std::vector<double>{1}));
}

}  // namespace
}  // namespace carnot::test
