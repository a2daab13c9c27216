#include <carnot/error.h>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

class OnnxSignals : public testing::TestWithParam<ImportCase> {};
TEST_P(OnnxSignals, GivesTheValuesOfTheSpecification) { expectImport(GetParam()); }

const ImportCase kTransforms[] = {
    {"DFT of real numbers, along axis 1 by default",
     {.type = "DFT", .inputs = {floats({1, 4, 1}, {1, 2, 3, 4})}},
     {1, 4, 2},
     {10, 0, -2, 2, -2, 0, -2, -2}},
    {"DFT of six, by factors 2 and 3",
     {.type = "DFT", .inputs = {floats({1, 6, 1}, {1, 0, 0, 1, 0, 0})}},
     {1, 6, 2},
     {2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0}},
    {"DFT extended by zeros",
     {.type = "DFT", .inputs = {floats({1, 1, 1}, {3}), ints({}, {2})}, .constants = {1}},
     {1, 2, 2},
     {3, 0, 3, 0}},
    {"DFT of what is left when cut, an axis from the end by default since opset 20",
     {.type = "DFT",
      .opset = 20,
      .inputs = {floats({1, 3, 1}, {1, 2, 9}), ints({}, {2})},
      .constants = {1}},
     {1, 2, 2},
     {3, 0, -1, 0}},
    {"DFT, onesided, an axis that is an input",
     {.type = "DFT",
      .opset = 20,
      .attributes = {{"onesided", int64_t{1}}},
      .inputs = {floats({4, 1, 1}, {1, 2, 3, 4}), Tensor(), ints({}, {-3})},
      .constants = {2}},
     {3, 1, 2},
     {10, 0, -2, 2, -2, 0}},
    {"DFT, inverse",
     {.type = "DFT",
      .attributes = {{"inverse", int64_t{1}}},
      .inputs = {floats({1, 4, 2}, {10, 0, -2, 2, -2, 0, -2, -2})}},
     {1, 4, 2},
     {1, 0, 2, 0, 3, 0, 4, 0}},
    {"DFT, inverse of a onesided one",
     {.type = "DFT",
      .opset = 20,
      .attributes = {{"inverse", int64_t{1}}, {"onesided", int64_t{1}}},
      .inputs = {floats({1, 3, 2}, {10, 0, -2, 2, -2, 0})}},
     {1, 4, 1},
     {1, 2, 3, 4}},
    {"DFT under a symbol",
     {.type = "DFT",
      .attributes = {{"onesided", int64_t{1}}},
      .inputs = {floats({1, 2, 1}, {1, 2})},
      .shapes = {{0, "[batch, samples, 1]"}}},
     {1, 2, 2},
     {3, 0, -1, 0}},
    {"STFT, onesided by default",
     {.type = "STFT",
      .inputs = {floats({1, 5, 1}, {1, 2, 3, 4, 5}), ints({}, {2}), Tensor(), ints({}, {2})},
      .constants = {1, 3}},
     {1, 2, 2, 2},
     {3, 0, -1, 0, 7, 0, -1, 0}},
    {"STFT of complex numbers under a window",
     {.type = "STFT",
      .attributes = {{"onesided", int64_t{0}}},
      .inputs = {floats({1, 2, 2}, {1, 1, 2, 2}), ints({}, {1}), floats({2}, {1, 2})},
      .constants = {1}},
     {1, 1, 2, 2},
     {5, 5, -3, -3}},
};
INSTANTIATE_TEST_SUITE_P(Transforms, OnnxSignals, testing::ValuesIn(kTransforms));

const ImportCase kImages[] = {
    {"Col2Im adds what overlaps",
     {.type = "Col2Im",
      .opset = 18,
      .inputs = {iota({1, 2, 2}), list({3}), list({2})},
      .constants = {1, 2}},
     {1, 1, 3},
     {1, 2 + 3, 4}},
    {"Col2Im, padded, strided and dilated",
     {.type = "Col2Im",
      .opset = 18,
      .attributes = {{"pads", Ints{1, 1}}, {"strides", Ints{2}}, {"dilations", Ints{2}}},
      .inputs = {iota({1, 4, 2}), list({3}), list({2})},
      .constants = {1, 2}},
     {1, 2, 3},
     {0, 3 + 2, 0, 0, 7 + 6, 0}},
    {"CenterCropPad crops the rest at the end, and pads it there",
     {.type = "CenterCropPad",
      .opset = 18,
      .inputs = {iota({4, 1}), list({1, 4})},
      .constants = {1}},
     {1, 4},
     {0, 2, 0, 0}},
    {"CenterCropPad of some axes",
     {.type = "CenterCropPad",
      .opset = 18,
      .attributes = {{"axes", Ints{-1}}},
      .inputs = {iota({2, 3}), list({1})},
      .constants = {1}},
     {2, 1},
     {2, 5}},
    {"CenterCropPad of a symbol",
     {.type = "CenterCropPad",
      .opset = 18,
      .inputs = {iota({4}), list({2})},
      .constants = {1},
      .shapes = {{0, "[width]"}}},
     {2},
     {2, 3}},
    {"AffineGrid",
     {.type = "AffineGrid",
      .opset = 20,
      .inputs = {floats({1, 2, 3}, {1, 0, 0, 0, 2, 10}), list({1, 1, 2, 1})},
      .constants = {1}},
     {1, 2, 1, 2},
     {0, 9, 0, 11}},
    {"AffineGrid of a size that follows from a symbol",
     {.type = "AffineGrid",
      .opset = 20,
      .inputs = {floats({1, 2, 3}, {1, 0, 0, 0, 2, 10}), list({1, 1, 2, 1})},
      .shapes = {{0, "[batch, 2, 3]"}},
      .contents = {{1, {"batch", "1", "2*batch", "batch"}}}},
     {1, 2, 1, 2},
     {0, 9, 0, 11}},
    {"AffineGrid, corners aligned, a lone element in the first corner",
     {.type = "AffineGrid",
      .opset = 20,
      .attributes = {{"align_corners", int64_t{1}}},
      .inputs = {floats({1, 2, 3}, {1, 0, 0, 0, 2, 10}), list({1, 1, 2, 1})},
      .constants = {1}},
     {1, 2, 1, 2},
     {-1, 8, -1, 12}},
};
INSTANTIATE_TEST_SUITE_P(Images, OnnxSignals, testing::ValuesIn(kImages));

TEST(SignalShapes, ColumnsMustBeTheBlocksOfTheImage) {
  EXPECT_THROW(inferOperator("Col2Im{image=[4], block=[2], strides=[1], pads=[0,0], dilations=[1]}",
                             {{DType::F32, "[n, 2, 5]"}}),
               Error);
  EXPECT_EQ(inferOperator("Col2Im{image=[4], block=[2], strides=[1], pads=[0,0], dilations=[1]}",
                          {{DType::F16, "[n, 6, 3]"}})
                .type(),
            "float16[n, 3, 4]");
}

TEST(SignalShapes, FramesFollowFromTheSamples) {
  EXPECT_EQ(inferOperator("Stft{frame=4, step=2}", {{DType::F32, "[n, 2*s, 1]"}}).type(),
            "float32[n, s - 1, 3, 2]");
  EXPECT_THROW(inferOperator("Stft{frame=4}", {{DType::F32, "[1, 8, 2]"}}), Error);
}

}  // namespace
}  // namespace carnot::test
