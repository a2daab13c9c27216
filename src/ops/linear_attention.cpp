#include "ops/linear_attention.h"

#include <cmath>

#include "base/error.h"
#include "ops/define.h"
#include "ops/elements.h"
#include "ops/onnx_node.h"
#include "ops/requirements.h"

namespace carnot {

namespace {

enum Input : size_t { kQuery, kKey, kValue, kState, kDecay, kBeta };

// One element's size of the last axis of an input, shared by the heads.
Dim perHead(InferContext& context, size_t input, int64_t heads) {
  const Dim last = context.shape(input)[2];
  context.requireEqual(
      floorMod(last, Dim(heads)), Dim(0),
      fmt::format("elements of input {} left over by {} heads, and none", input, heads));
  return floorDiv(last, Dim(heads));
}

}  // namespace

static void infer(const LinearAttention& op, InferContext& context) {
  context.require(op.queryHeads >= 1 && op.kvHeads >= 1 && op.queryHeads % op.kvHeads == 0,
                  fmt::format("{} query heads for {} states", op.queryHeads, op.kvHeads),
                  "a multiple, at least 1");
  const Shape query = context.shape(kQuery);
  for (size_t i : {kQuery, kKey, kValue, kDecay, kBeta}) {
    if (i > kValue && !context.has(i)) continue;
    context.require(context.rank(i) == 3,
                    fmt::format("input {} of shape {}", i, context.shape(i).toString()),
                    "[batch, length, heads * d]");
    requireFloat(context, i);
    context.requireSameDType(kQuery, i);
    for (size_t axis : {0, 1})
      context.requireEqual(context.shape(i)[axis], query[axis],
                           fmt::format("batch and length of inputs 0 and {}", i));
  }
  const Dim dk = perHead(context, kQuery, op.queryHeads);
  const Dim dv = perHead(context, kValue, op.kvHeads);
  context.requireEqual(perHead(context, kKey, op.kvHeads), dk, "sizes of a query and a key");
  const Shape state = {query[0], op.kvHeads, dk, dv};
  DType stateType = context.dtype(kQuery);
  if (context.has(kState)) {
    requireFloat(context, kState);
    stateType = context.dtype(kState);
    context.require(context.rank(kState) == 4,
                    fmt::format("past state {}", context.shape(kState).toString()), "rank 4");
    for (size_t axis = 0; axis < 4; ++axis)
      context.requireEqual(context.shape(kState)[axis], state[axis], "dims of the past state");
  }
  if (context.has(kDecay)) {
    const Dim last = context.shape(kDecay)[2];
    if (compare(last, Dim(op.kvHeads)) != Equality::Yes)
      context.requireEqual(last, Dim(op.kvHeads) * dk, "decays and the elements of keys");
  }
  if (context.has(kBeta)) {
    const Dim last = context.shape(kBeta)[2];
    if (compare(last, Dim(1)) != Equality::Yes)
      context.requireEqual(last, Dim(op.kvHeads), "betas and heads");
  }
  context.setOutput(0, context.dtype(kQuery), {query[0], query[1], Dim(op.queryHeads) * dv});
  if (context.outputs.size() > 1) context.setOutput(1, stateType, state);
}

namespace {

// The inputs of one head's recurrence, whole tensors as double.
struct Sequences {
  std::vector<double> query, key, value, decay, beta;
  int64_t length, dk, dv, decays, betas;  // decays and betas: elements of the last axis
};

// Runs head `head` of sample `sample` over its positions, changing `state` [dk, dv].
void runHead(const LinearAttention& op, const Sequences& in, int64_t sample, int64_t head,
             std::span<double> state, const TensorView& out) {
  const int64_t group = op.queryHeads / op.kvHeads;
  const double scale = op.scale != 0 ? op.scale : 1 / std::sqrt(static_cast<double>(in.dk));
  std::vector<double> write(static_cast<size_t>(in.dv));
  for (int64_t t = 0; t < in.length; ++t) {
    const int64_t at = sample * in.length + t;
    const double* key = &in.key[static_cast<size_t>((at * op.kvHeads + head) * in.dk)];
    const double* value = &in.value[static_cast<size_t>((at * op.kvHeads + head) * in.dv)];
    if (in.decays > 0) {
      const int64_t step = in.decays / op.kvHeads;  // 1, or an element of the key each
      for (int64_t d = 0; d < in.dk; ++d) {
        const int64_t from = at * in.decays + head * step + (step > 1 ? d : 0);
        const double factor = std::exp(in.decay[static_cast<size_t>(from)]);
        for (int64_t m = 0; m < in.dv; ++m) state[d * in.dv + m] *= factor;
      }
    }
    for (int64_t m = 0; m < in.dv; ++m) {
      write[m] = value[m];
      if (in.betas == 0) continue;
      for (int64_t d = 0; d < in.dk; ++d) write[m] -= state[d * in.dv + m] * key[d];
      write[m] *= in.beta[static_cast<size_t>(at * in.betas + (in.betas > 1 ? head : 0))];
    }
    for (int64_t d = 0; d < in.dk; ++d)
      for (int64_t m = 0; m < in.dv; ++m) state[d * in.dv + m] += key[d] * write[m];
    for (int64_t q = head * group; q < (head + 1) * group; ++q) {
      const double* query = &in.query[static_cast<size_t>((at * op.queryHeads + q) * in.dk)];
      for (int64_t m = 0; m < in.dv; ++m) {
        double sum = 0;
        for (int64_t d = 0; d < in.dk; ++d) sum += query[d] * state[d * in.dv + m];
        out.storeDouble((at * op.queryHeads + q) * in.dv + m, scale * sum);
      }
    }
  }
}

}  // namespace

static void reference(const LinearAttention& op, const ReferenceContext& context) {
  const auto dims = context.in(kQuery).dims;
  Sequences in{.query = loadDoubles(context.in(kQuery)),
               .key = loadDoubles(context.in(kKey)),
               .value = loadDoubles(context.in(kValue)),
               .decay = {},
               .beta = {},
               .length = dims[1],
               .dk = dims[2] / op.queryHeads,
               .dv = context.in(kValue).dims[2] / op.kvHeads,
               .decays = 0,
               .betas = 0};
  if (context.has(kDecay)) {
    in.decay = loadDoubles(context.in(kDecay));
    in.decays = context.in(kDecay).dims[2];
  }
  if (context.has(kBeta)) {
    in.beta = loadDoubles(context.in(kBeta));
    in.betas = context.in(kBeta).dims[2];
  }
  std::vector<double> past;
  if (context.has(kState)) past = loadDoubles(context.in(kState));
  std::vector<double> state(static_cast<size_t>(in.dk * in.dv));
  for (int64_t sample = 0; sample < dims[0]; ++sample) {
    for (int64_t head = 0; head < op.kvHeads; ++head) {
      const int64_t first = (sample * op.kvHeads + head) * in.dk * in.dv;
      for (size_t i = 0; i < state.size(); ++i)
        state[i] = past.empty() ? 0 : past[static_cast<size_t>(first) + i];
      runHead(op, in, sample, head, state, context.out(0));
      if (context.outputs.size() < 2) continue;
      for (size_t i = 0; i < state.size(); ++i)
        context.out(1).storeDouble(first + static_cast<int64_t>(i), state[i]);
    }
  }
}

// Decay, write and outer product by each state, a product with it by each query.
static Cost cost(const LinearAttention& op, const CostContext& context) {
  const std::vector<int64_t> query = context.inputs[kQuery].shape.concrete();
  const std::vector<int64_t> value = context.inputs[kValue].shape.concrete();
  const auto positions = static_cast<double>(query[0] * query[1]);
  const auto state =
      static_cast<double>(query[2] / op.queryHeads) * static_cast<double>(value[2] / op.kvHeads);
  const auto heads = static_cast<double>(5 * op.kvHeads + 2 * op.queryHeads);
  return {.flops = positions * state * heads, .bytes = context.allBytes()};
}

static void importLinearAttention(OnnxNode& node) {
  const std::string rule = node.attributeString("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    throw Error(ErrorCode::InvalidModel, fmt::format("update_rule \"{}\"", rule),
                "linear, gated, delta or gated_delta");
  if (gated != node.hasInput(kDecay) || delta != node.hasInput(kBeta))
    throw Error(ErrorCode::InvalidModel,
                fmt::format("update_rule \"{}\" {} decay and {} beta", rule,
                            node.hasInput(kDecay) ? "with" : "without",
                            node.hasInput(kBeta) ? "with" : "without"),
                "decay for the gated rules alone, beta for the delta rules alone");
  const LinearAttention op{.queryHeads = node.attributeInt("q_num_heads", 0),
                           .kvHeads = node.attributeInt("kv_num_heads", 0),
                           .scale = node.attributeFloat("scale", 0)};
  std::vector<OnnxNode::Ref> inputs;
  for (size_t i : {kQuery, kKey, kValue}) inputs.push_back(node.requireInput(i));
  for (size_t i : {kState, kDecay, kBeta}) inputs.push_back(node.input(i));
  while (!inputs.back()) inputs.pop_back();
  const auto outputs = node.emit(Operator::of(op), inputs, 2);
  for (size_t i = 0; i < 2; ++i) node.setOutput(i, outputs[i]);
}

template <>
const OpDef& definitionOf<LinearAttention>() {
  static const OpDef kRow = defineOperator<LinearAttention>(
      "LinearAttention", Access::Opaque, {{"", "LinearAttention", 27, 0, importLinearAttention}});
  return kRow;
}

}  // namespace carnot
