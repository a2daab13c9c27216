#include "ops/recurrent.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_recurrent.h"
#include "ops/requirements.h"

namespace carnot {

namespace {

enum Input : size_t { kX, kW, kR, kBias, kLengths, kH, kC, kPeepholes };

constexpr RecurrentActivation kActivations[] = {
    {"Relu", false, false, 0, 0},        {"Tanh", false, false, 0, 0},
    {"Sigmoid", false, false, 0, 0},     {"Affine", true, true, 1, 0},
    {"LeakyRelu", true, false, 0.01, 0}, {"ThresholdedRelu", true, false, 1, 0},
    {"ScaledTanh", true, true, 1, 1},    {"HardSigmoid", true, true, 0.2, 0.5},
    {"Elu", true, false, 1, 0},          {"Softsign", false, false, 0, 0},
    {"Softplus", false, false, 0, 0},
};

bool sameLetters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

// An activation with its parameters, on what is bounded by the clip.
class Activation {
 public:
  Activation(const Recurrent& op, size_t i)
      : name_(op.activations[i]), alpha_(op.alphas[i]), beta_(op.betas[i]), clip_(op.clip) {}

  double operator()(double x) const {
    if (clip_ > 0) x = std::clamp(x, -clip_, clip_);
    if (name_ == "Sigmoid") return 1 / (1 + std::exp(-x));
    if (name_ == "Tanh") return std::tanh(x);
    if (name_ == "Relu") return std::max(x, 0.0);
    if (name_ == "Affine") return alpha_ * x + beta_;
    if (name_ == "LeakyRelu") return x < 0 ? alpha_ * x : x;
    if (name_ == "ThresholdedRelu") return x > alpha_ ? x : 0;
    if (name_ == "ScaledTanh") return alpha_ * std::tanh(beta_ * x);
    if (name_ == "HardSigmoid") return std::clamp(alpha_ * x + beta_, 0.0, 1.0);
    if (name_ == "Elu") return x < 0 ? alpha_ * std::expm1(x) : x;
    if (name_ == "Softsign") return x / (1 + std::abs(x));
    return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));  // Softplus
  }

 private:
  std::string_view name_;
  double alpha_, beta_, clip_;
};

// One direction of the network: its weights, and one step of one sequence.
class Direction {
 public:
  Direction(const Recurrent& op, const ReferenceContext& context, int64_t index)
      : op_(op),
        hidden_(static_cast<size_t>(context.in(kR).dims[2])),
        gates_(static_cast<size_t>(op.gates())),
        w_(part(context, kW, index)),
        r_(part(context, kR, index)),
        bias_(part(context, kBias, index)),
        peepholes_(part(context, kPeepholes, index)) {
    if (bias_.empty()) bias_.assign(2 * gates_ * hidden_, 0);
    if (peepholes_.empty()) peepholes_.assign(3 * hidden_, 0);
    const size_t each = op.activationsEach(), first = each * static_cast<size_t>(index);
    for (size_t i = 0; i < each; ++i) activations_.emplace_back(op, first + i);
  }

  // x [size]; h and c [hidden] are renewed.
  void step(std::span<const double> x, std::span<double> h, std::span<double> c) const {
    switch (op_.cell) {
      case RecurrentCell::Rnn:
        return stepRnn(x, h);
      case RecurrentCell::Gru:
        return stepGru(x, h);
      case RecurrentCell::Lstm:
        return stepLstm(x, h, c);
    }
  }

 private:
  // What input `i` has of this direction; empty when it is absent.
  static std::vector<double> part(const ReferenceContext& context, size_t i, int64_t index) {
    if (!context.has(i)) return {};
    const TensorView& view = context.in(i);
    const int64_t count = elementCount(view.dims.subspan(1));
    std::vector<double> values;
    for (int64_t at = 0; at < count; ++at) values.push_back(view.loadDouble(index * count + at));
    return values;
  }

  double dot(const std::vector<double>& weights, size_t row, std::span<const double> x) const {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) sum += weights[row * x.size() + i] * x[i];
    return sum;
  }
  // Rows of gate `gate`: the input's product and bias, the state's product and bias.
  double fromInput(size_t gate, size_t i, std::span<const double> x) const {
    const size_t row = gate * hidden_ + i;
    return dot(w_, row, x) + bias_[row];
  }
  double fromState(size_t gate, size_t i, std::span<const double> h) const {
    const size_t row = gate * hidden_ + i;
    return dot(r_, row, h) + bias_[gates_ * hidden_ + row];
  }

  void stepRnn(std::span<const double> x, std::span<double> h) const {
    std::vector<double> next(hidden_);
    for (size_t i = 0; i < hidden_; ++i)
      next[i] = activations_[0](fromInput(0, i, x) + fromState(0, i, h));
    std::copy(next.begin(), next.end(), h.begin());
  }

  void stepGru(std::span<const double> x, std::span<double> h) const {
    std::vector<double> update(hidden_), reset(hidden_), kept(hidden_);
    for (size_t i = 0; i < hidden_; ++i) {
      update[i] = activations_[0](fromInput(0, i, x) + fromState(0, i, h));
      reset[i] = activations_[0](fromInput(1, i, x) + fromState(1, i, h));
      kept[i] = reset[i] * h[i];
    }
    std::vector<double> next(hidden_);
    for (size_t i = 0; i < hidden_; ++i) {
      const double state =
          op_.linearBeforeReset ? reset[i] * fromState(2, i, h) : fromState(2, i, kept);
      const double candidate = activations_[1](fromInput(2, i, x) + state);
      next[i] = (1 - update[i]) * candidate + update[i] * h[i];
    }
    std::copy(next.begin(), next.end(), h.begin());
  }

  void stepLstm(std::span<const double> x, std::span<double> h, std::span<double> c) const {
    const Activation &f = activations_[0], &g = activations_[1], &last = activations_[2];
    std::vector<double> next(hidden_);
    for (size_t i = 0; i < hidden_; ++i) {
      const double before = c[i];
      const double in = f(fromInput(0, i, x) + fromState(0, i, h) + peepholes_[i] * before);
      const double forget =
          op_.coupled
              ? 1 - in
              : f(fromInput(2, i, x) + fromState(2, i, h) + peepholes_[2 * hidden_ + i] * before);
      c[i] = forget * before + in * g(fromInput(3, i, x) + fromState(3, i, h));
      const double out =
          f(fromInput(1, i, x) + fromState(1, i, h) + peepholes_[hidden_ + i] * c[i]);
      next[i] = out * last(c[i]);
    }
    std::copy(next.begin(), next.end(), h.begin());
  }

  const Recurrent& op_;
  size_t hidden_, gates_;
  std::vector<double> w_, r_, bias_, peepholes_;
  std::vector<Activation> activations_;
};

std::vector<double> stateOf(const ReferenceContext& context, size_t input, int64_t first,
                            int64_t count) {
  std::vector<double> state(static_cast<size_t>(count), 0);
  if (context.has(input))
    for (int64_t i = 0; i < count; ++i)
      state[static_cast<size_t>(i)] = context.in(input).loadDouble(first + i);
  return state;
}

void store(const ReferenceContext& context, size_t output, int64_t first,
           std::span<const double> values) {
  if (output >= context.outputs.size() || !context.out(output).data) return;
  for (size_t i = 0; i < values.size(); ++i)
    context.out(output).storeDouble(first + static_cast<int64_t>(i), values[i]);
}

}  // namespace

const RecurrentActivation* findRecurrentActivation(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kActivations), std::end(kActivations),
                   [&](const auto& activation) { return sameLetters(activation.name, name); });
  return found == std::end(kActivations) ? nullptr : found;
}

int64_t Recurrent::gates() const {
  return cell == RecurrentCell::Rnn ? 1 : cell == RecurrentCell::Gru ? 3 : 4;
}

size_t Recurrent::activationsEach() const {
  return cell == RecurrentCell::Rnn ? 1 : cell == RecurrentCell::Gru ? 2 : 3;
}

static void infer(const Recurrent& op, InferContext& context) {
  const Shape &x = context.shape(kX), &w = context.shape(kW), &r = context.shape(kR);
  requireFloat(context, kX);
  context.require(x.rank() == 3, fmt::format("x {}", x.toString()), "[time, batch, size]");
  context.require(w.rank() == 3 && r.rank() == 3,
                  fmt::format("weights {} and {}", w.toString(), r.toString()), "rank 3");
  const size_t activations = op.activationsEach() * static_cast<size_t>(op.directions());
  context.require(op.activations.size() == activations && op.alphas.size() == activations &&
                      op.betas.size() == activations,
                  fmt::format("{} activations", op.activations.size()),
                  fmt::format("{}, with an alpha and a beta each", activations));
  for (const std::string& name : op.activations)
    context.require(findRecurrentActivation(name) != nullptr,
                    fmt::format("activation \"{}\"", name),
                    "an activation of ONNX's recurrent operators, such as Tanh");
  context.require(op.clip >= 0, fmt::format("clip {}", op.clip), "0 (none) or more");
  const Dim hidden = r[2], rows = Dim(op.gates()) * hidden, directions(op.directions());
  const Shape state{directions, x[1], hidden};
  auto requireShape = [&](size_t input, std::string_view name, const Shape& needs) {
    if (!context.has(input)) return;
    const Shape& has = context.shape(input);
    context.require(has.rank() == needs.rank(), fmt::format("{} {}", name, has.toString()),
                    needs.toString());
    for (size_t axis = 0; axis < needs.rank(); ++axis)
      context.requireEqual(has[axis], needs[axis], fmt::format("dim {} of {}", axis, name));
    if (input == kLengths)
      requireIndexType(context, input);
    else
      context.requireSameDType(kX, input);
  };
  requireShape(kW, "weights of the input", {directions, rows, x[2]});
  requireShape(kR, "weights of the state", {directions, rows, hidden});
  requireShape(kBias, "bias", {directions, Dim(2) * rows});
  requireShape(kLengths, "lengths", {x[1]});
  requireShape(kH, "first h", state);
  requireShape(kC, "first c", state);
  requireShape(kPeepholes, "peepholes", {directions, Dim(3) * hidden});
  context.require(op.cell == RecurrentCell::Lstm || (!context.has(kC) && !context.has(kPeepholes)),
                  "a cell state or peepholes", "none, but for Lstm");
  context.setOutput(0, context.dtype(kX), {x[0], directions, x[1], hidden});
  for (size_t i = 1; i < context.outputs.size(); ++i)
    context.setOutput(i, context.dtype(kX), state);
}

static void reference(const Recurrent& op, const ReferenceContext& context) {
  const TensorView& x = context.in(kX);
  const int64_t time = x.dims[0], batch = x.dims[1], size = x.dims[2];
  const int64_t hidden = context.in(kR).dims[2];
  zeroElements(context.out(0));
  std::vector<double> element(static_cast<size_t>(size));
  for (int64_t d = 0; d < op.directions(); ++d) {
    const Direction direction(op, context, d);
    const bool reverse = op.direction == RecurrentDirection::Reverse || d == 1;
    for (int64_t n = 0; n < batch; ++n) {
      const int64_t length = context.has(kLengths) ? context.in(kLengths).loadInt(n) : time;
      if (length < 0 || length > time)
        throw Error(ErrorCode::InvalidArgument, fmt::format("a sequence of length {}", length),
                    fmt::format("at most {}", time));
      const int64_t at = (d * batch + n) * hidden;
      std::vector<double> h = stateOf(context, kH, at, hidden);
      std::vector<double> c = stateOf(context, kC, at, hidden);
      for (int64_t i = 0; i < length; ++i) {
        const int64_t t = reverse ? length - 1 - i : i;
        for (int64_t k = 0; k < size; ++k)
          element[static_cast<size_t>(k)] = x.loadDouble((t * batch + n) * size + k);
        direction.step(element, h, c);
        store(context, 0, ((t * op.directions() + d) * batch + n) * hidden, h);
      }
      store(context, 1, at, h);
      store(context, 2, at, c);
    }
  }
}

static Cost cost(const Recurrent& op, const CostContext& context) {
  const std::vector<int64_t> x = context.inputs[kX].shape.concrete();
  const auto hidden = static_cast<double>(context.inputs[kR].shape.concrete()[2]);
  const double cells = static_cast<double>(x[0] * x[1] * op.directions()) * hidden;
  const double inputs = static_cast<double>(x[2]) + hidden;
  return {.flops = 2 * cells * static_cast<double>(op.gates()) * inputs,
          .bytes = context.allBytes()};
}

template <>
const OpDef& definitionOf<Recurrent>() {
  static const OpDef kRow = defineOperator<Recurrent>(
      "Recurrent", Access::Opaque,
      {{"", "RNN", 1, 0, importRnn}, {"", "GRU", 1, 0, importGru}, {"", "LSTM", 1, 0, importLstm}});
  return kRow;
}

}  // namespace carnot
