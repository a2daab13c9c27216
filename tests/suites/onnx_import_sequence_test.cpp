#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

class OnnxSequences : public testing::TestWithParam<ImportCase> {};
TEST_P(OnnxSequences, GivesTheValuesOfTheSpecification) { expectImport(GetParam()); }

const ImportCase kStates[] = {
    {"LinearAttention: a state is the sum of keys by values, shared by two queries",
     {.type = "LinearAttention",
      .opset = 27,
      .attributes = {{"update_rule", "linear"},
                     {"q_num_heads", int64_t{2}},
                     {"kv_num_heads", int64_t{1}},
                     {"scale", 0.5}},
      .inputs = {floats({1, 2, 2}, {2, 4, 2, 4}), iota({1, 2, 1}), iota({1, 2, 1}, 10)},
      .outputs = 2},
     {1, 2, 2},
     {10, 20, 32, 64}},
    {"LinearAttention: the delta rule writes what the state lacks",
     {.type = "LinearAttention",
      .opset = 27,
      .attributes = {{"update_rule", "delta"},
                     {"q_num_heads", int64_t{1}},
                     {"kv_num_heads", int64_t{1}}},
      .inputs = {floats({1, 1, 1}, {1}), floats({1, 1, 1}, {2}), floats({1, 1, 1}, {10}),
                 floats({1, 1, 1, 1}, {3}), Tensor{}, floats({1, 1, 1}, {0.5})},
      .outputs = 2},
     {1, 1, 1},
     {3 + 2 * 0.5 * (10 - 3 * 2)}},
    {"CausalConvWithState sees the state first",
     {.type = "CausalConvWithState",
      .opset = 27,
      .inputs = {iota({1, 1, 2}), floats({1, 1, 3}, {100, 10, 1}), floats({1}, {1000}),
                 floats({1, 1, 2}, {8, 9})},
      .outputs = 2,
      .shapes = {{0, "[n, 1, length]"}, {3, "[n, 1, 2]"}}},
     {1, 1, 2},
     {1891, 1912}},
    {"TensorScatter wraps in a circle",
     {.type = "TensorScatter",
      .opset = 24,
      .attributes = {{"mode", "circular"}},
      .inputs = {floats({2, 3, 1}, {0, 0, 0, 0, 0, 0}), iota({2, 2, 1}), list({2, 0})},
      .shapes = {{0, "[n, most, 1]"}, {1, "[n, length, 1]"}, {2, "[n]"}}},
     {2, 3, 1},
     {2, 0, 1, 3, 4, 0}},
    {"TensorScatter without indices writes from the start",
     {.type = "TensorScatter",
      .opset = 24,
      .attributes = {{"axis", int64_t{1}}},
      .inputs = {floats({1, 3}, {7, 8, 9}), iota({1, 2})}},
     {1, 3},
     {1, 2, 9}},
};
INSTANTIATE_TEST_SUITE_P(States, OnnxSequences, testing::ValuesIn(kStates));

const ImportCase kSignals[] = {
    {"HannWindow",
     {.type = "HannWindow", .opset = 17, .inputs = {ints({}, {4})}, .constants = {0}},
     {4},
     {0, 0.5, 1, 0.5}},
    {"HammingWindow, symmetric, as doubles",
     {.type = "HammingWindow",
      .opset = 17,
      .attributes = {{"periodic", int64_t{0}}, {"output_datatype", int64_t{11}}},
      .inputs = {ints({}, {3}, DType::I32)},
      .constants = {0}},
     {3},
     {4.0 / 46, 1, 4.0 / 46}},
    {"BlackmanWindow of no elements",
     {.type = "BlackmanWindow", .opset = 17, .inputs = {ints({}, {0})}, .constants = {0}},
     {0},
     {}},
    {"MelWeightMatrix",
     {.type = "MelWeightMatrix",
      .opset = 17,
      .inputs = {ints({}, {2}), ints({}, {8}), ints({}, {8000}), floats({}, {0}),
                 floats({}, {4000})},
      .constants = {0, 1, 2, 3, 4}},
     {5, 2},
     {1, 0, 0, 1, 0, 0, 0, 0, 0, 0}},
};
INSTANTIATE_TEST_SUITE_P(Signals, OnnxSequences, testing::ValuesIn(kSignals));

TEST(OnnxImports, StatesAreGivenForTheNextStep) {
  EagerNode conv({.type = "CausalConvWithState",
                  .opset = 27,
                  .attributes = {{"activation", "silu"}},
                  .inputs = {iota({1, 1, 2}), floats({1, 1, 4}, {0, 0, 0, 0})},
                  .outputs = 2});
  const std::vector<Tensor> next = conv.run();
  EXPECT_EQ(next[0].toDoubles(), (std::vector<double>{0, 0}));
  EXPECT_EQ(next[1].toDoubles(), (std::vector<double>{0, 1, 2}));

  EagerNode attention(
      {.type = "LinearAttention",
       .opset = 27,
       .attributes = {{"update_rule", "gated"},
                      {"q_num_heads", int64_t{1}},
                      {"kv_num_heads", int64_t{1}}},
       .inputs = {iota({1, 1, 1}), iota({1, 1, 1}, 2), iota({1, 1, 1}, 5),
                  floats({1, 1, 1, 1}, {8}), floats({1, 1, 1}, {-0.6931471805599453})},
       .outputs = 2});
  EXPECT_NEAR(attention.run()[1].toDoubles().at(0), 8 * 0.5 + 10, 1e-5);
}

TEST(LinearAttention, InfersOutputAndState) {
  const Inferred inferred =
      inferOperator("LinearAttention{queryHeads=4, kvHeads=2}",
                    {Operand(DType::F16, "[n, t, 32]"), Operand(DType::F16, "[n, t, 16]"),
                     Operand(DType::F16, "[n, t, 6]")},
                    2);
  EXPECT_EQ(inferred.type(0), "float16[n, t, 12]");
  EXPECT_EQ(inferred.type(1), "float16[n, 2, 8, 3]");
}

}  // namespace
}  // namespace carnot::test
