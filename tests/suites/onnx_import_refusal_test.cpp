#include <carnot/error.h>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

struct RefusalCase {
  const char* name;
  OnnxCase node;
  ErrorCode code;
};
void PrintTo(const RefusalCase& row, std::ostream* out) { *out << row.name; }

class OnnxRefusal : public testing::TestWithParam<RefusalCase> {};

TEST_P(OnnxRefusal, SaysWhy) {
  try {
    runOnnx(GetParam().node);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), GetParam().code) << error.what();
    EXPECT_FALSE(error.needs().empty()) << error.what();
  }
}

const RefusalCase kRefusals[] = {
    {"a shape computed from data",
     {.type = "Reshape", .inputs = {iota({2}), list({2})}},
     ErrorCode::Unsupported},
    {"scales that an axis has no room for",
     {.type = "QuantizeLinear", .inputs = {iota({1, 2}), iota({3})}},
     ErrorCode::InvalidModel},
    {"quantization to 32 bits",
     {.type = "QuantizeLinear", .inputs = {iota({2}), iota({}), ints({}, {0}, DType::I32)}},
     ErrorCode::InvalidModel},
    {"scales of too few blocks",
     {.type = "DequantizeLinear",
      .opset = 21,
      .attributes = {{"axis", int64_t{0}}, {"block_size", int64_t{2}}},
      .inputs = {ints({5}, {0, 0, 0, 0, 0}, DType::I8), iota({2})}},
     ErrorCode::InvalidModel},
    {"an integer product of floats",
     {.type = "MatMulInteger", .inputs = {iota({1, 1}), iota({1, 1})}},
     ErrorCode::InvalidModel},
    {"heads that do not divide",
     {.type = "RotaryEmbedding",
      .opset = 23,
      .attributes = {{"num_heads", int64_t{2}}},
      .inputs = {iota({1, 1, 3}), iota({1, 1, 1}), iota({1, 1, 1})}},
     ErrorCode::InvalidModel},
    {"angles of another width than the heads",
     {.type = "RotaryEmbedding",
      .opset = 23,
      .inputs = {iota({1, 1, 1, 4}), iota({1, 1, 1}), iota({1, 1, 1})}},
     ErrorCode::InvalidModel},
    {"a window whose size is computed from data",
     {.type = "HannWindow", .opset = 17, .inputs = {ints({}, {4})}},
     ErrorCode::Unsupported},
    {"mels beyond the spectrogram",
     {.type = "MelWeightMatrix",
      .opset = 17,
      .inputs = {ints({}, {2}), ints({}, {8}), ints({}, {8000}), floats({}, {0}),
                 floats({}, {40000})},
      .constants = {0, 1, 2, 3, 4}},
     ErrorCode::InvalidModel},
    {"mels of no number of samples",
     {.type = "MelWeightMatrix",
      .opset = 17,
      .inputs = {floats({}, {2}), floats({}, {1e30F}), ints({}, {8000}), floats({}, {0}),
                 floats({}, {4000})},
      .constants = {0, 1, 2, 3, 4}},
     ErrorCode::InvalidModel},
    {"mels of edges beyond every number",
     {.type = "MelWeightMatrix",
      .opset = 17,
      .inputs = {ints({}, {2}), ints({}, {8}), floats({}, {1e-30F}), floats({}, {0}),
                 floats({}, {1e30F})},
      .constants = {0, 1, 2, 3, 4}},
     ErrorCode::InvalidModel},
    {"a scale that no axis bears",
     {.type = "Resize",
      .opset = 19,
      .inputs = {iota({1, 1, 2, 2}), {}, floats({4}, {1, 1, 1, 1e25F})},
      .constants = {2}},
     ErrorCode::Unsupported},
    {"an axis resized beyond every tensor",
     {.type = "Resize",
      .opset = 19,
      .inputs = {iota({1, 1, 0, int64_t{1} << 40}), {}, floats({4}, {1, 1, 1, 1e9F})},
      .constants = {2}},
     ErrorCode::InvalidModel},
    {"a depth beyond every number",
     {.type = "OneHot",
      .opset = 11,
      .inputs = {ints({1}, {0}), floats({}, {1e30F}), floats({2}, {0, 1})},
      .constants = {1}},
     ErrorCode::InvalidModel},
    {"a gated rule without decay",
     {.type = "LinearAttention",
      .opset = 27,
      .attributes = {{"update_rule", "gated"},
                     {"q_num_heads", int64_t{1}},
                     {"kv_num_heads", int64_t{1}}},
      .inputs = {iota({1, 1, 1}), iota({1, 1, 1}), iota({1, 1, 1})}},
     ErrorCode::InvalidModel},
    {"a cache written along the batch",
     {.type = "TensorScatter",
      .opset = 24,
      .attributes = {{"axis", int64_t{0}}},
      .inputs = {iota({2, 2}), iota({1, 2})}},
     ErrorCode::InvalidModel},
    {"targets of other dims than the scores",
     {.type = "NegativeLogLikelihoodLoss", .inputs = {iota({2, 3}), list({0})}},
     ErrorCode::InvalidModel},
    {"slice bounds computed from data",
     {.type = "Slice", .inputs = {iota({2}), list({0}), list({1})}},
     ErrorCode::Unsupported},
    {"SAME padding that depends on a symbol",
     {.type = "Conv",
      .attributes = {{"auto_pad", "SAME_UPPER"}, {"strides", Ints{2}}},
      .inputs = {iota({1, 1, 4}), iota({1, 1, 3})},
      .shapes = {{0, "[1, 1, w]"}}},
     ErrorCode::Unsupported},
    {"batch normalization in training mode",
     {.type = "BatchNormalization",
      .opset = 14,
      .attributes = {{"training_mode", int64_t{1}}},
      .inputs = {iota({1, 1}), iota({1}), iota({1}), iota({1}), iota({1})}},
     ErrorCode::Unsupported},
    {"a reshape that loses elements",
     {.type = "Reshape", .inputs = {iota({4}), list({3})}, .constants = {1}},
     ErrorCode::InvalidModel},
    {"two open dims",
     {.type = "Reshape", .inputs = {iota({4}), list({-1, -1})}, .constants = {1}},
     ErrorCode::InvalidModel},
    {"an axis beyond the rank",
     {.type = "Softmax", .attributes = {{"axis", int64_t{2}}}, .inputs = {iota({1, 2})}},
     ErrorCode::InvalidModel},
    {"an axis twice",
     {.type = "ReduceSum", .inputs = {iota({2, 2}), list({0, -2})}, .constants = {1}},
     ErrorCode::InvalidModel},
    {"a squeezed axis that is not 1",
     {.type = "Squeeze", .inputs = {iota({2, 2}), list({0})}, .constants = {1}},
     ErrorCode::InvalidModel},
    {"parts that do not add up",
     {.type = "Split", .inputs = {iota({4}), list({1, 2})}, .outputs = 2, .constants = {1}},
     ErrorCode::InvalidModel},
    {"no parts",
     {.type = "Split", .opset = 11, .inputs = {iota({4})}, .outputs = 0},
     ErrorCode::InvalidModel},
    {"a kernel of another size than the weights",
     {.type = "Conv",
      .attributes = {{"kernel_shape", Ints{2}}},
      .inputs = {iota({1, 1, 4}), iota({1, 1, 3})}},
     ErrorCode::InvalidModel},
    {"more of the top than there is",
     {.type = "TopK", .inputs = {iota({2}), list({3})}, .constants = {1}},
     ErrorCode::InvalidModel},
};
INSTANTIATE_TEST_SUITE_P(Cases, OnnxRefusal, testing::ValuesIn(kRefusals));

}  // namespace
}  // namespace carnot::test
