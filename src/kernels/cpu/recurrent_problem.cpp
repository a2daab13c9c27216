#include "kernels/cpu/recurrent_problem.h"

#include <fmt/core.h>

#include <algorithm>

#include "kernels/parameters.h"

namespace carnot {
namespace {

constexpr int64_t kMaxDim = int64_t{1} << 20;  // of the input and the state

constexpr const char* kCurves[] = {
    "Relu",       "Tanh",        "Sigmoid", "Affine",   "LeakyRelu", "ThresholdedRelu",
    "ScaledTanh", "HardSigmoid", "Elu",     "Softsign", "Softplus"};

RecurrentFormula formulaOf(const Recurrent& op, size_t direction) {
  RecurrentFormula formula;
  formula.clip = static_cast<float>(op.clip);
  formula.coupled = op.coupled;
  formula.usual = op.clip == 0;
  const size_t each = op.activationsEach();
  for (size_t i = 0; i < each; ++i) {
    const size_t at = direction * each + i;
    const auto* found = std::ranges::find(kCurves, op.activations[at]);
    formula.functions[i] = {static_cast<RecurrentCurve>(found - std::begin(kCurves)),
                            static_cast<float>(op.alphas[at]), static_cast<float>(op.betas[at])};
    const bool gate = i == 0 && op.cell != RecurrentCell::Rnn;
    formula.usual &=
        formula.functions[i].curve == (gate ? RecurrentCurve::Sigmoid : RecurrentCurve::Tanh);
  }
  return formula;
}

std::vector<RecurrentStage> stagesOf(const Recurrent& op) {
  switch (op.cell) {
    case RecurrentCell::Lstm:
      return {RecurrentStage::Lstm};
    case RecurrentCell::Rnn:
      return {RecurrentStage::Rnn};
    case RecurrentCell::Gru:
      break;
  }
  if (op.linearBeforeReset) return {RecurrentStage::GruLinear};
  return {RecurrentStage::GruGates, RecurrentStage::GruCandidate};
}

}  // namespace

RecurrentWeights::RecurrentWeights(const Recurrent& op, int64_t size, int64_t hidden, int lanes) {
  int gate = 0;
  int64_t end = 0;
  auto take = [&](int64_t count) {
    end += count;
    return end - count;
  };
  for (RecurrentStage stage : stagesOf(op)) {
    const int64_t unitsOfPanel = int64_t{lanes} * blocksOf(stage);
    Stage row{.stage = stage, .firstGate = gate};
    row.panels = (hidden + unitsOfPanel - 1) / unitsOfPanel;
    row.width = int64_t{lanes} * vectorsOf(stage);
    row.inputPanel = row.width * size;
    row.statePanel = row.width * hidden;
    row.input = take(row.panels * row.inputPanel);
    row.state = take(row.panels * row.statePanel);
    row.bias = take(row.panels * row.width);
    units = row.panels * unitsOfPanel;
    gate += gatesOf(stage);
    stages.push_back(row);
  }
  stateBias = take(units);
  peepholes = take(3 * units);
  floats = end;
}

std::variant<Refusal, RecurrentProblem> recurrentProblem(const Problem& problem) {
  const Region& region = problem.region;
  const Recurrent* op = region.steps.size() == 1 ? region.steps[0].op.as<Recurrent>() : nullptr;
  if (!op) return Refusal{fmt::format("carries out one Recurrent, not {}", region.label())};
  const Region::Step& step = region.steps[0];
  RecurrentProblem out;
  out.op = *op;
  out.inputs.fill(-1);
  for (size_t i = 0; i < step.inputs.size() && i < out.inputs.size(); ++i)
    if (step.inputs[i] >= 0 && problem.inputs[static_cast<size_t>(step.inputs[i])].present)
      out.inputs[i] = step.inputs[i];
  auto desc = [&](size_t input) -> const TensorDesc& {
    return problem.inputs[static_cast<size_t>(out.inputs[input])];
  };
  if (desc(RecurrentProblem::kX).dtype != DType::F32) return Refusal{"runs in float32"};
  for (size_t input : {RecurrentProblem::kW, RecurrentProblem::kR, RecurrentProblem::kBias,
                       RecurrentProblem::kPeepholes})
    if (out.inputs[input] >= 0 && (!desc(input).constant || !desc(input).shape.isStatic()))
      return Refusal{"packs constant weights"};
  out.size = desc(RecurrentProblem::kW).shape[2].constant();
  out.hidden = desc(RecurrentProblem::kR).shape[2].constant();
  if (out.hidden < 1 || out.hidden > kMaxDim || out.size > kMaxDim)
    return Refusal{fmt::format("{} elements into {} hidden units is outside what it packs",
                               out.size, out.hidden)};
  for (int i = 0; i < 3; ++i) {
    const auto found = std::ranges::find(region.outputs, step.firstOutput + i);
    out.outputs[static_cast<size_t>(i)] = i >= step.outputCount || found == region.outputs.end()
                                              ? -1
                                              : static_cast<int>(found - region.outputs.begin());
  }
  for (size_t input : {RecurrentProblem::kX, RecurrentProblem::kLengths, RecurrentProblem::kH,
                       RecurrentProblem::kC})
    if (out.inputs[input] >= 0) out.runtimeInputs.push_back(out.inputs[input]);
  std::ranges::sort(out.runtimeInputs);
  out.runtimeInputs.erase(std::unique(out.runtimeInputs.begin(), out.runtimeInputs.end()),
                          out.runtimeInputs.end());
  for (int64_t direction = 0; direction < op->directions(); ++direction)
    out.formulas.push_back(formulaOf(*op, static_cast<size_t>(direction)));
  return out;
}

Tensor packRecurrent(const Problem& problem, const RecurrentProblem& recurrent, int lanes) {
  using Inputs = RecurrentProblem;
  const Recurrent& op = recurrent.op;
  const int64_t size = recurrent.size, hidden = recurrent.hidden, gates = op.gates();
  const RecurrentWeights weights(op, size, hidden, lanes);
  Tensor packed(DType::F32, {op.directions() * weights.floats});
  std::fill_n(packed.as<float>(), packed.count(), 0.0f);
  auto constant = [&](Inputs::Input input, int64_t first) -> const float* {
    if (!recurrent.has(input)) return nullptr;
    const auto at = static_cast<size_t>(recurrent.inputs[input]);
    return static_cast<const float*>(problem.inputs[at].constant->data()) + first;
  };
  for (int64_t direction = 0; direction < op.directions(); ++direction) {
    float* out = packed.as<float>() + direction * weights.floats;
    const float* w = constant(Inputs::kW, direction * gates * hidden * size);
    const float* r = constant(Inputs::kR, direction * gates * hidden * hidden);
    const float* bias = constant(Inputs::kBias, direction * 2 * gates * hidden);
    const float* peepholes = constant(Inputs::kPeepholes, direction * 3 * hidden);
    for (const RecurrentWeights::Stage& stage : weights.stages) {
      const int stageGates = gatesOf(stage.stage);
      for (int64_t unit = 0; unit < hidden; ++unit)
        for (int gate = 0; gate < stageGates; ++gate) {
          const int64_t block = unit / lanes, blocks = blocksOf(stage.stage);
          const int64_t panel = block / blocks;
          const int64_t column = (block % blocks * stageGates + gate) * lanes + unit % lanes;
          const int64_t row = (stage.firstGate + gate) * hidden + unit;
          float* to = out + stage.input + panel * stage.inputPanel + column;
          for (int64_t k = 0; k < size; ++k) to[k * stage.width] = w[row * size + k];
          to = out + stage.state + panel * stage.statePanel + column;
          for (int64_t k = 0; k < hidden; ++k) to[k * stage.width] = r[row * hidden + k];
          if (!bias) continue;
          float& sum = out[stage.bias + panel * stage.width + column];
          const float ofState = bias[gates * hidden + row];
          sum = bias[row];
          if (stage.stage == RecurrentStage::GruLinear && gate == 2)
            out[weights.stateBias + unit] = ofState;
          else
            sum += ofState;
        }
    }
    for (int64_t gate = 0; peepholes && gate < 3; ++gate)
      std::copy_n(peepholes + gate * hidden, hidden,
                  out + weights.peepholes + gate * weights.units);
  }
  return packed;
}

}  // namespace carnot
