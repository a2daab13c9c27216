#include <fmt/format.h>

#include <cmath>

#include "kernel_cases.h"

namespace carnot::test {
namespace {

struct Network {
  std::string name;
  int cell;  // RecurrentCell: 0 RNN, 1 GRU, 2 LSTM
  // Of b bias, l lengths, h and c first states, p peepholes those that it has.
  std::string inputs = {};
  std::string attributes = {};
  int direction = 0;            // RecurrentDirection: 0 forward, 1 reverse, 2 both
  std::string functions = {};   // other than the usual, of all directions
  std::string parameters = {};  // alphas and betas of those
  std::string outputs = {};     // other than all
};

struct Sizes {
  int time, batch, size, hidden;
  std::string lengths = {};
};

// `usual` of one direction, of as many as there are.
std::string ofAll(const Network& network, const std::string& usual) {
  return network.direction == 2 ? usual + "," + usual : usual;
}

KernelCase caseOf(const Network& network, const Sizes& s) {
  constexpr int kGates[] = {1, 3, 4};
  const char* const kFunctions[] = {R"("Tanh")", R"("Sigmoid","Tanh")",
                                    R"("Sigmoid","Tanh","Tanh")"};
  const char* const kZeros[] = {"0", "0,0", "0,0,0"};
  const int gates = kGates[network.cell], directions = network.direction == 2 ? 2 : 1;
  const int rows = gates * s.hidden;
  // Larger weights of many units make a network that magnifies every rounding.
  const double bound = 1 / std::sqrt(s.hidden);
  KernelCase row;
  row.name =
      fmt::format("recurrent_{}_{}x{}x{}x{}", network.name, s.time, s.batch, s.size, s.hidden);
  row.inputs = {fmt::format("float32[time={}, batch={}, {}]", s.time, s.batch, s.size),
                fmt::format("const float32[{}, {}, {}]", directions, rows, s.size),
                fmt::format("const float32[{}, {}, {}] in {} .. {}", directions, rows, s.hidden,
                            -bound, bound)};
  std::string names = "x,w,r", used = names;
  for (char letter : std::string(network.cell == 2 ? "blhcp" : "blh")) {
    const bool present = network.inputs.find(letter) != std::string::npos;
    used += present ? fmt::format(",{}", letter) : ",_";
    if (!present) continue;
    names += fmt::format(",{}", letter);
    switch (letter) {
      case 'b':
        row.inputs.push_back(fmt::format("const float32[{}, {}]", directions, 2 * rows));
        break;
      case 'l':
        row.inputs.push_back(fmt::format("int32[batch={}] = {}", s.batch, s.lengths));
        break;
      case 'p':
        row.inputs.push_back(fmt::format("const float32[{}, {}]", directions, 3 * s.hidden));
        break;
      default:
        row.inputs.push_back(
            fmt::format("float32[{}, batch={}, {}]", directions, s.batch, s.hidden));
    }
  }
  const std::string outputs = network.cell == 2 ? "y,m,n" : "y,m";
  const std::string functions =
      network.functions.empty() ? ofAll(network, kFunctions[network.cell]) : network.functions;
  const std::string zeros = ofAll(network, kZeros[network.cell]);
  const std::string parameters = network.parameters.empty()
                                     ? fmt::format("alphas=[{}], betas=[{}]", zeros, zeros)
                                     : network.parameters;
  row.region =
      fmt::format("({}) {}=Recurrent{{cell={}, direction={}, activations=[{}], {}{}}}({}) -> {}",
                  names, outputs, network.cell, network.direction, functions, parameters,
                  network.attributes, used, network.outputs.empty() ? outputs : network.outputs);
  row.supportedBy = {"cpu/recurrent@portable"};
  return row;
}

std::vector<KernelCase> makeCases() {
  const Network kLstm{.name = "lstm", .cell = 2, .inputs = "bhc"};
  const Network kGru{.name = "gru", .cell = 1, .inputs = "bh"};
  const Network kLinear{
      .name = "gru_linear", .cell = 1, .inputs = "bh", .attributes = ", linearBeforeReset=true"};
  const Network kRnn{.name = "rnn", .cell = 0, .inputs = "bh"};
  std::vector<KernelCase> cases;
  for (const Network& network : {kLstm, kGru, kLinear, kRnn}) {
    // Less than a panel, several with a part of one, batches of each number of rows in a tile and
    // more, enough work for several threads that share the hidden units or the batch.
    for (const Sizes& sizes : {Sizes{5, 1, 3, 5},
                               {1, 2, 7, 33},
                               {3, 3, 1, 16},
                               {2, 4, 5, 20},
                               {2, 5, 16, 8},
                               {3, 6, 4, 17},
                               {2, 13, 3, 40},
                               {4, 1, 20, 200},
                               {40, 1, 8, 160},
                               {3, 40, 8, 48},
                               {2, 100, 2, 4}})
      cases.push_back(caseOf(network, sizes));
    Network plain = network;
    plain.name += "_bare";
    plain.inputs = "";
    cases.push_back(caseOf(plain, {6, 2, 4, 12}));
    cases.push_back(caseOf(plain, {0, 2, 4, 12}));
    cases.push_back(caseOf(plain, {3, 0, 4, 12}));
    Network reverse = network;
    reverse.name += "_reverse";
    reverse.direction = 1;
    reverse.inputs += "l";
    cases.push_back(caseOf(reverse, {6, 3, 5, 18, "2 0 6"}));
    Network both = network;
    both.name += "_both";
    both.direction = 2;
    cases.push_back(caseOf(both, {7, 2, 5, 18}));
    cases.push_back(caseOf(both, {20, 3, 33, 70}));
    both.name += "_lengths";
    both.inputs += "l";
    cases.push_back(caseOf(both, {5, 4, 5, 18, "3 5 1 0"}));
    cases.push_back(caseOf(both, {5, 2, 5, 18, "0 0"}));
    cases.push_back(caseOf(both, {9, 9, 16, 96, "3 5 1 0 9 9 8 2 4"}));
    Network clipped = network;
    clipped.name += "_clipped";
    clipped.attributes += ", clip=0.25";
    cases.push_back(caseOf(clipped, {4, 3, 6, 20}));
    Network last = network;
    last.name += "_last";
    last.outputs = "m";
    cases.push_back(caseOf(last, {4, 3, 6, 20}));
  }
  Network peepholes{.name = "lstm_peepholes", .cell = 2, .inputs = "bhcp"};
  cases.push_back(caseOf(peepholes, {6, 3, 5, 20}));
  peepholes.direction = 2;
  peepholes.attributes = ", coupled=true";
  peepholes.name += "_coupled_both";
  cases.push_back(caseOf(peepholes, {6, 3, 5, 20}));
  cases.push_back(
      caseOf({.name = "lstm_cell", .cell = 2, .inputs = "bhc", .outputs = "n"}, {3, 2, 5, 20}));
  for (const auto& [name, alpha, beta] : {std::tuple{"Relu", 0.0, 0.0},
                                          {"Affine", 0.5, 0.1},
                                          {"LeakyRelu", 0.1, 0.0},
                                          {"ThresholdedRelu", 0.3, 0.0},
                                          {"ScaledTanh", 0.7, 1.3},
                                          {"HardSigmoid", 0.3, 0.4},
                                          {"Elu", 0.8, 0.0},
                                          {"Softsign", 0.0, 0.0},
                                          {"Softplus", 0.0, 0.0},
                                          {"Sigmoid", 0.0, 0.0}}) {
    cases.push_back(caseOf({.name = fmt::format("rnn_{}", name),
                            .cell = 0,
                            .inputs = "bh",
                            .direction = 2,
                            .functions = fmt::format(R"("{}","Tanh")", name),
                            .parameters = fmt::format("alphas=[{},0], betas=[{},0]", alpha, beta)},
                           {3, 3, 4, 10}));
    cases.push_back(
        caseOf({.name = fmt::format("lstm_{}", name),
                .cell = 2,
                .inputs = "bhc",
                .functions = fmt::format(R"("HardSigmoid","{}","Tanh")", name),
                .parameters = fmt::format("alphas=[0.2,{},0], betas=[0.5,{},0]", alpha, beta)},
               {3, 3, 4, 10}));
  }
  return cases;
}

}  // namespace

std::span<const KernelCase> recurrentCases() {
  static const std::vector<KernelCase> cases = makeCases();
  return cases;
}

}  // namespace carnot::test
