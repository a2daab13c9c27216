#include <carnot/error.h>

#include "suites/support/import_case.h"

namespace carnot::test {
namespace {

class OnnxRecurrent : public testing::TestWithParam<ImportCase> {};
TEST_P(OnnxRecurrent, GivesTheValuesOfTheSpecification) { expectImport(GetParam()); }

using Texts = std::vector<std::string>;
using Numbers = std::vector<double>;

const Tensor kOne = floats({1, 1, 1}, {1});
const Tensor kSteps = floats({3, 1, 1}, {1, 2, 3});

// Gates that are 0.25 whatever comes, and what is linear behind them.
const std::map<std::string, OnnxAttribute> kFlatGates = {
    {"activations", Texts{"HardSigmoid", "Affine", "Affine"}},
    {"activation_alpha", Numbers{0, 1, 1}},
    {"activation_beta", Numbers{0.25, 0, 0}}};
std::map<std::string, OnnxAttribute> flatGates(const char* name, size_t activations) {
  std::map<std::string, OnnxAttribute> attributes = kFlatGates;
  auto names = std::get<Texts>(attributes["activations"]);
  names.resize(activations);
  attributes["activations"] = names;
  attributes[name] = int64_t{1};
  return attributes;
}

const ImportCase kNetworks[] = {
    {"RNN sums up",
     {.type = "RNN",
      .attributes = {{"activations", Texts{"Relu"}}},
      .inputs = {kSteps, kOne, kOne}},
     {3, 1, 1, 1},
     {1, 3, 6}},
    {"RNN, names of activations in any case",
     {.type = "RNN",
      .opset = 7,
      .attributes = {{"activations", Texts{"relu"}}},
      .inputs = {kSteps, kOne, kOne}},
     {3, 1, 1, 1},
     {1, 3, 6}},
    {"RNN backwards",
     {.type = "RNN",
      .attributes = {{"activations", Texts{"Relu"}}, {"direction", "reverse"}},
      .inputs = {kSteps, kOne, kOne}},
     {3, 1, 1, 1},
     {6, 5, 3}},
    {"RNN backwards from a sequence's own end",
     {.type = "RNN",
      .attributes = {{"activations", Texts{"Relu"}}, {"direction", "reverse"}},
      .inputs = {kSteps, kOne, kOne, Tensor(), ints({1}, {2}, DType::I32)}},
     {3, 1, 1, 1},
     {3, 2, 0}},
    {"RNN both ways, an activation each",
     {.type = "RNN",
      .attributes = {{"activations", Texts{"Relu", "Affine"}},
                     {"activation_alpha", Numbers{2}},
                     {"activation_beta", Numbers{1}},
                     {"direction", "bidirectional"}},
      .inputs = {kSteps, floats({2, 1, 1}, {1, 1}), floats({2, 1, 1}, {1, 0})}},
     {3, 2, 1, 1},
     {1, 3, 3, 5, 6, 7}},
    {"RNN, clipped before the activation, from a first state with biases",
     {.type = "RNN",
      .attributes = {{"activations", Texts{"Affine"}}, {"clip", 5.0}},
      .inputs = {kSteps, kOne, kOne, floats({1, 2}, {0.5, 0.25}), Tensor(),
                 floats({1, 1, 1}, {-1})}},
     {3, 1, 1, 1},
     {0.75, 3.5, 5}},
    {"RNN, batch first",
     {.type = "RNN",
      .opset = 14,
      .attributes = {{"activations", Texts{"Relu"}}, {"layout", int64_t{1}}},
      .inputs = {floats({1, 3, 1}, {1, 2, 3}), kOne, kOne}},
     {1, 3, 1, 1},
     {1, 3, 6}},
    {"GRU resets the state, then multiplies",
     {.type = "GRU",
      .attributes = flatGates("hidden_size", 2),
      .inputs = {floats({1, 1, 1}, {3}), floats({1, 3, 1}, {1, 1, 1}), floats({1, 3, 1}, {1, 1, 1}),
                 floats({1, 6}, {0, 0, 0, 0, 0, 8}), Tensor(), floats({1, 1, 1}, {4})}},
     {1, 1, 1, 1},
     {0.75 * (3 + 0.25 * 4 + 8) + 0.25 * 4}},
    {"GRU multiplies the state, then resets",
     {.type = "GRU",
      .attributes = flatGates("linear_before_reset", 2),
      .inputs = {floats({1, 1, 1}, {3}), floats({1, 3, 1}, {1, 1, 1}), floats({1, 3, 1}, {1, 1, 1}),
                 floats({1, 6}, {0, 0, 0, 0, 0, 8}), Tensor(), floats({1, 1, 1}, {4})}},
     {1, 1, 1, 1},
     {0.75 * (3 + 0.25 * (4 + 8)) + 0.25 * 4}},
    {"LSTM",
     {.type = "LSTM",
      .attributes = flatGates("hidden_size", 3),
      .inputs = {floats({2, 1, 1}, {4, 4}), floats({1, 4, 1}, {1, 1, 1, 1}),
                 floats({1, 4, 1}, {0, 0, 0, 0})}},
     {2, 1, 1, 1},
     {0.25, 0.25 * 1.25}},
    {"LSTM forgets what it does not take",
     {.type = "LSTM",
      .attributes = flatGates("input_forget", 3),
      .inputs = {floats({2, 1, 1}, {4, 4}), floats({1, 4, 1}, {1, 1, 1, 1}),
                 floats({1, 4, 1}, {0, 0, 0, 0})}},
     {2, 1, 1, 1},
     {0.25, 0.25 * 1.75}},
    {"LSTM clips what every activation takes, the last one too, and not the cell",
     {.type = "LSTM",
      .attributes = {{"activations", Texts{"Affine", "Affine", "Affine"}}, {"clip", 2.0}},
      .inputs = {floats({2, 1, 1}, {9, 9}), floats({1, 4, 1}, {1, 1, 1, 1}),
                 floats({1, 4, 1}, {0, 0, 0, 0}), Tensor(), ints({1}, {2}, DType::I32), Tensor(),
                 floats({1, 1, 1}, {-2})}},
     {2, 1, 1, 1},
     {0, 2 * 2}},
    {"LSTM, peepholes of i and f see the cell before, of o the cell after",
     {.type = "LSTM",
      .attributes = {{"activations", Texts{"Affine", "Affine", "Affine"}}},
      .inputs = {floats({1, 1, 1}, {1}), floats({1, 4, 1}, {0, 0, 0, 1}),
                 floats({1, 4, 1}, {0, 0, 0, 0}), Tensor(), Tensor(), Tensor(),
                 floats({1, 1, 1}, {2}), floats({1, 3}, {1, 10, 3})}},
     {1, 1, 1, 1},
     {10 * (3 * 2 * 2 + 2) * (3 * 2 * 2 + 2)}},
};
INSTANTIATE_TEST_SUITE_P(Networks, OnnxRecurrent, testing::ValuesIn(kNetworks));

TEST(OnnxRecurrentOutputs, LastStatesKeepWhatTheLastStepGave) {
  OnnxCase node{
      .type = "LSTM",
      .attributes = flatGates("layout", 3),
      .inputs = {floats({2, 2, 1}, {4, 4, 8, 8}), floats({1, 4, 1}, {1, 1, 1, 1}),
                 floats({1, 4, 1}, {0, 0, 0, 0}), Tensor(), ints({2}, {1, 2}, DType::I32)},
      .outputs = 3};
  const std::vector<Tensor> outputs = EagerNode(std::move(node)).run();
  EXPECT_EQ(outputs[1].dims(), (Ints{2, 1, 1}));
  EXPECT_EQ(outputs[1].toDoubles(), (Numbers{0.25, 0.625}));
  EXPECT_EQ(outputs[2].toDoubles(), (Numbers{1, 2.5}));
}

TEST(RecurrentShapes, FollowSymbols) {
  const Inferred inferred = inferOperator(
      "Recurrent{cell=2, activations=[\"Sigmoid\",\"Tanh\",\"Tanh\"], alphas=[0,0,0], "
      "betas=[0,0,0]}",
      {{DType::F16, "[time, batch, 4]"}, {DType::F16, "[1, 12, 4]"}, {DType::F16, "[1, 12, 3]"}},
      3);
  EXPECT_EQ(inferred.type(0), "float16[time, 1, batch, 3]");
  EXPECT_EQ(inferred.type(2), "float16[1, batch, 3]");
}

TEST(RecurrentShapes, RefuseWeightsOfOtherGates) {
  EXPECT_THROW(inferOperator("Recurrent{cell=0, activations=[\"Tanh\"], alphas=[0], betas=[0]}",
                             {{DType::F32, "[time, batch, 4]"},
                              {DType::F32, "[1, 12, 4]"},
                              {DType::F32, "[1, 12, 3]"}},
                             2),
               Error);
}

}  // namespace
}  // namespace carnot::test
