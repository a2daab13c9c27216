#include "ops/onnx_recurrent.h"

#include "base/error.h"
#include "ops/onnx_axes.h"
#include "ops/recurrent.h"

namespace carnot {

namespace {

RecurrentDirection directionOf(const OnnxNode& node) {
  const std::string direction = node.attributeString("direction", "forward");
  if (direction == "forward") return RecurrentDirection::Forward;
  if (direction == "reverse") return RecurrentDirection::Reverse;
  if (direction == "bidirectional") return RecurrentDirection::Both;
  throw Error(ErrorCode::InvalidModel, fmt::format("direction \"{}\"", direction),
              "forward, reverse or bidirectional");
}

// Names and parameters of every activation. The lists of alphas and betas are taken in the order of
// the activations that have one.
void importActivations(const OnnxNode& node, Recurrent& op) {
  const size_t count = op.activationsEach() * static_cast<size_t>(op.directions());
  op.activations = node.attributeStrings("activations");
  if (op.activations.empty()) {
    for (size_t i = 0; i < count; ++i) {
      const bool gate = op.cell != RecurrentCell::Rnn && i % op.activationsEach() == 0;
      op.activations.emplace_back(gate ? "Sigmoid" : "Tanh");
    }
  }
  const std::vector<double> alphas = node.attributeFloats("activation_alpha"),
                            betas = node.attributeFloats("activation_beta");
  size_t nextAlpha = 0, nextBeta = 0;
  for (std::string& name : op.activations) {
    const RecurrentActivation* known = findRecurrentActivation(name);
    if (!known)
      throw Error(ErrorCode::InvalidModel, fmt::format("activation \"{}\"", name),
                  "an activation of ONNX's recurrent operators, such as Tanh");
    name = known->name;
    double alpha = known->alpha, beta = known->beta;
    if (known->hasAlpha && nextAlpha < alphas.size()) alpha = alphas[nextAlpha++];
    if (known->hasBeta && nextBeta < betas.size()) beta = betas[nextBeta++];
    op.alphas.push_back(alpha);
    op.betas.push_back(beta);
  }
}

void importRecurrent(OnnxNode& node, RecurrentCell cell) {
  Recurrent op{.cell = cell,
               .direction = directionOf(node),
               .clip = node.attributeFloat("clip", 0),
               .linearBeforeReset = node.attributeInt("linear_before_reset", 0) != 0,
               .coupled = node.attributeInt("input_forget", 0) != 0};
  importActivations(node, op);
  const bool lstm = cell == RecurrentCell::Lstm;
  const bool batchFirst = node.attributeInt("layout", 0) != 0;
  std::vector<OnnxNode::Ref> inputs;
  for (size_t i = 0; i < (lstm ? 8 : 6); ++i) {
    OnnxNode::Ref input = i < 3 ? node.requireInput(i) : node.input(i);
    const bool hasBatch = i == 0 || i == 5 || i == 6;
    if (batchFirst && hasBatch && input) {
      if (node.rankOf(input) != 3)
        throw Error(ErrorCode::InvalidModel,
                    fmt::format("input {} of shape {}", i, node.shapeOf(input).toString()),
                    "rank 3");
      input = emitTranspose(node, input, {1, 0, 2});
    }
    inputs.push_back(input);
  }
  if (const int64_t hidden = node.attributeInt("hidden_size", 0); hidden != 0) {
    const Shape& weights = node.shapeOf(inputs[2]);
    if (weights.rank() != 3 || compare(weights[2], Dim(hidden)) == Equality::No)
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("hidden_size {} and R {}", hidden, weights.toString()),
                  "R [directions, gates * hidden_size, hidden_size]");
  }
  const size_t count = lstm ? 3 : 2;
  std::vector<OnnxNode::Ref> outputs = node.emit(Operator::of(std::move(op)), inputs, count);
  for (size_t i = 0; i < count; ++i) {
    if (!node.outputUsed(i)) continue;
    if (batchFirst)
      outputs[i] =
          emitTranspose(node, outputs[i],
                        i == 0 ? std::vector<int64_t>{2, 0, 1, 3} : std::vector<int64_t>{1, 0, 2});
    node.setOutput(i, outputs[i]);
  }
}

}  // namespace

void importRnn(OnnxNode& node) { importRecurrent(node, RecurrentCell::Rnn); }
void importGru(OnnxNode& node) { importRecurrent(node, RecurrentCell::Gru); }
void importLstm(OnnxNode& node) { importRecurrent(node, RecurrentCell::Lstm); }

}  // namespace carnot
