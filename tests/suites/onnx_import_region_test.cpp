#include <carnot/error.h>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

class OnnxSampled : public testing::TestWithParam<ImportCase> {};
TEST_P(OnnxSampled, GivesTheValuesOfTheSpecification) { expectImport(GetParam()); }

const ImportCase kSampled[] = {
    {"DeformConv with offsets of 0 is Conv",
     {.type = "DeformConv",
      .opset = 19,
      .inputs = {iota({1, 1, 2, 2}), floats({1, 1, 1, 1}, {2}),
                 floats({1, 2, 2, 2}, {0, 0, 0, 0, 0, 0, 0, 0})}},
     {1, 1, 2, 2},
     {2, 4, 6, 8}},
    {"DeformConv moves down, then right, linear between elements and 0 outside",
     {.type = "DeformConv",
      .opset = 22,
      .inputs = {iota({1, 1, 2, 2}), floats({1, 1, 1, 1}, {1}),
                 floats({1, 2, 2, 2}, {0.5, 0, 0, 1, 0, 0.5, 1, 0})}},
     {1, 1, 2, 2},
     {2, 1, 4, 0}},
    {"DeformConv, a mask, a bias, a group of offsets each channel",
     {.type = "DeformConv",
      .opset = 19,
      .attributes = {{"offset_group", int64_t{2}}},
      .inputs = {iota({1, 2, 2}), floats({1, 2, 1}, {1, 10}), floats({1, 2, 2}, {0, 0, 1, 0}),
                 floats({1}, {100}), floats({1, 2, 2}, {1, 0.5, 1, 2})}},
     {1, 1, 2},
     {100 + 1 + 40, 100 + 1 + 80}},
    {"RoiAlign, the mean of four samples",
     {.type = "RoiAlign",
      .opset = 10,
      .attributes = {{"sampling_ratio", int64_t{2}}},
      .inputs = {iota({1, 1, 3, 3}), floats({1, 4}, {0, 0, 2, 2}), list({0})}},
     {1, 1, 1, 1},
     {5}},
    {"RoiAlign at half pixels, from opset 16",
     {.type = "RoiAlign",
      .opset = 16,
      .attributes = {{"output_width", int64_t{2}}},
      .inputs = {iota({2, 1, 1, 2}), floats({1, 4}, {0, 0, 2, 1}), list({1})}},
     {1, 1, 1, 2},
     {3, 4}},
    {"RoiAlign, the greatest weighted corner",
     {.type = "RoiAlign",
      .opset = 16,
      .attributes = {{"mode", "max"}, {"spatial_scale", 0.5}},
      .inputs = {iota({1, 1, 1, 3}), floats({1, 4}, {0, 0, 6, 2}), list({0})}},
     {1, 1, 1, 1},
     {3}},
    {"MaxUnpool",
     {.type = "MaxUnpool",
      .opset = 9,
      .attributes = {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
      .inputs = {floats({1, 1, 2}, {5, 6}), ints({1, 1, 2}, {1, 2})}},
     {1, 1, 4},
     {0, 5, 6, 0}},
    {"MaxUnpool to a larger shape",
     {.type = "MaxUnpool",
      .opset = 11,
      .attributes = {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
      .inputs = {floats({1, 1, 2}, {5, 6}), ints({1, 1, 2}, {1, 2}), list({1, 1, 5})},
      .constants = {2}},
     {1, 1, 5},
     {0, 5, 6, 0, 0}},
    {"MaxUnpool under a symbol",
     {.type = "MaxUnpool",
      .opset = 22,
      .attributes = {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
      .inputs = {floats({1, 1, 2}, {5, 6}), ints({1, 1, 2}, {1, 2})},
      .shapes = {{0, "[batch, 1, width]"}, {1, "[batch, 1, width]"}}},
     {1, 1, 4},
     {0, 5, 6, 0}},
};
INSTANTIATE_TEST_SUITE_P(Regions, OnnxSampled, testing::ValuesIn(kSampled));

TEST(SampledValues, AnIndexOutsideIsAnError) {
  EXPECT_THROW(
      runOperator1("MaxUnpool{shape=[1, 1, 2]}", {floats({1, 1, 1}, {5}), ints({1, 1, 1}, {2})}),
      Error);
  EXPECT_THROW(
      runOperator1("RoiAlign", {iota({1, 1, 2, 2}), floats({1, 4}, {0, 0, 1, 1}), ints({1}, {1})}),
      Error);
}

}  // namespace
}  // namespace carnot::test
