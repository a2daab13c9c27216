#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "ops/cast.h"
#include "ops/conv.h"
#include "ops/conv_transpose.h"
#include "ops/pointwise_activation.h"
#include "ops/pointwise_binary.h"
#include "ops/reduce.h"
#include "passes/match.h"
#include "passes/passes.h"

namespace carnot {

namespace {

constexpr double kMostHalf = 65504, kLeastHalf = 6.103515625e-05;  // normal numbers
constexpr int64_t kSumElements = 128;  // the longest sum whose result may be a half

// Layers whose arithmetic is worth the conversions around them.
constexpr std::string_view kGain[] = {"Conv", "ConvTranspose", "MatMul", "Attention",
                                      "PagedAttention"};

// Layers that are as good in half where a neighbour is, since they move elements, or compute in
// float32 inside and give what is no larger than what they get.
constexpr std::string_view kFollow[] = {"Add",
                                        "Sub",
                                        "Mul",
                                        "Div",
                                        "Min",
                                        "Max",
                                        "Neg",
                                        "Abs",
                                        "Sign",
                                        "Relu",
                                        "LeakyRelu",
                                        "PRelu",
                                        "Elu",
                                        "Selu",
                                        "Celu",
                                        "Sigmoid",
                                        "HardSigmoid",
                                        "HardSwish",
                                        "Tanh",
                                        "Erf",
                                        "Gelu",
                                        "Silu",
                                        "Softplus",
                                        "Softsign",
                                        "Mish",
                                        "Where",
                                        "AveragePool",
                                        "MaxPool",
                                        "Concat",
                                        "Expand",
                                        "Gather",
                                        "GatherNd",
                                        "Pad",
                                        "Slice",
                                        "Transpose",
                                        "Reshape",
                                        "Reduce",
                                        "Resize",
                                        "Trilu",
                                        "ReverseSequence",
                                        "GatherElements",
                                        "BatchNorm",
                                        "GroupNorm",
                                        "InstanceNorm",
                                        "LayerNorm",
                                        "RmsNorm",
                                        "Softmax",
                                        "ThresholdedRelu"};

struct Unsafe {
  std::string_view name, why;
};
constexpr Unsafe kUnsafe[] = {
    {"Exp", "it outgrows half"},
    {"Pow", "it outgrows half"},
    {"Sqrt", "it takes statistics"},
    {"Reciprocal", "it outgrows half"},
    {"NaturalLog", "it takes what is near 0"},
    {"Sin", "it takes large angles"},
    {"Cos", "it takes large angles"},
    {"CumSum", "it sums without end"},
    {"CumProd", "it outgrows half"},
    {"Recurrent", "errors add up over its steps"},
    {"LinearAttention", "errors add up over its steps"},
};

bool isHalf(DType type) { return type == DType::F16 || type == DType::BF16; }

// A state's type is the application's.
bool isOf(const Value* value, DType type) {
  return value && value->type.dtype == type && !value->isState;
}
bool isFloat32(const Value* value) { return isOf(value, DType::F32); }

// The type of 16 bits that the node computes in; float32: none.
DType ownHalf(const Node* node) {
  if (!node->op || node->as<Cast>()) return DType::F32;
  for (const std::vector<Value*>& values : {node->inputs, node->outputs})
    for (const Value* value : values)
      if (isOf(value, DType::F16) || isOf(value, DType::BF16)) return value->type.dtype;
  return DType::F32;
}

// Whether a choice between float32 and half is open for the node.
bool isOpen(const Node* node) {
  if (!node->op || node->as<Cast>()) return false;
  auto isConstant = [](const Value* input) { return !input || input->isConstant(); };
  return std::ranges::any_of(node->inputs, isFloat32) &&
         !std::ranges::all_of(node->inputs, isConstant) &&
         std::ranges::any_of(node->outputs, isFloat32);
}

// The largest finite magnitude.
double mostOf(const Tensor& tensor) {
  constexpr uint32_t kInfinity = 0x7F800000;
  const auto* bits = tensor.as<uint32_t>();  // which order magnitudes as floats do
  uint32_t most = 0;
  for (int64_t i = 0, count = tensor.count(); i < count; ++i) {
    const uint32_t magnitude = bits[i] & 0x7FFFFFFF;
    most = std::max(most, magnitude < kInfinity ? magnitude : 0);
  }
  return std::bit_cast<float>(most);
}

// Whether something behind the value divides by it, or takes a root or logarithm of it: then even
// the least summand matters.
bool feedsSingularity(const Value* value) {
  return std::ranges::any_of(value->consumers, [&](const Node* consumer) {
    const std::string_view name = consumer->opName();
    return name == "Sqrt" || name == "Reciprocal" || name == "NaturalLog" || name == "Pow" ||
           (name == "Div" && consumer->inputs[1] == value);
  });
}

// Whether half cannot stand for the constant: it lacks a finite number of it, or loses a factor, or
// a summand that matters, to underflow.
bool losesConstant(const Node* node, const Value* value, DType half) {
  if (!value || !value->isConstant() || !isFloat32(value) || half != DType::F16) return false;
  if (mostOf(*value->constant) > kMostHalf) return true;
  const std::optional<double> one = uniformOf(value);
  if (!one || *one == 0 || std::abs(*one) >= kLeastHalf) return false;
  const bool summand = node->as<Add>() || node->as<Sub>();
  return !summand || feedsSingularity(node->outputs[0]);
}

// Elements that a reduction takes together; nullopt where that is no number.
std::optional<int64_t> reducedElements(const Node* node) {
  int64_t count = 1;
  for (int64_t axis : node->as<Reduce>()->axes) {
    const auto dim = node->inputs[0]->type.shape[static_cast<size_t>(axis)].tryConstant();
    if (!dim) return std::nullopt;
    count *= *dim;
  }
  return count;
}

bool isSafeReduction(const Node* node) {
  switch (node->as<Reduce>()->kind) {
    case ReduceKind::Mean:
    case ReduceKind::Max:
    case ReduceKind::Min:
      return true;
    case ReduceKind::Sum:
    case ReduceKind::L1:
      return reducedElements(node).value_or(INT64_MAX) <= kSumElements;
    default:
      return false;
  }
}

// Of what comes from float32, where it enters half.
bool isClamp(const Node* node) {
  if (!node->as<Max>() && !node->as<Min>()) return false;
  const std::optional<double> limit = uniformOf(node->inputs[1]);
  return limit && std::abs(*limit) == kMostHalf;
}

// Why the node stays in float32 although half is allowed; empty: it need not.
std::string whyUnsafe(const Node* node, DType half) {
  const std::string_view name = node->opName();
  if (const auto* row = std::ranges::find(kUnsafe, name, &Unsafe::name); row != std::end(kUnsafe))
    return fmt::format("{}: {}", name, row->why);
  if (std::ranges::find(kGain, name) == std::end(kGain) &&
      std::ranges::find(kFollow, name) == std::end(kFollow))
    return fmt::format("{}: not known to be safe", name);
  if (node->as<Reduce>() && !isSafeReduction(node)) return "Reduce: a sum that outgrows half";
  if (node->as<Mul>() && node->inputs[0] == node->inputs[1]) return "Mul: a square";
  if (node->as<Div>() && !node->inputs[1]->isConstant()) return "Div: by what may be near 0";
  if (isClamp(node)) return "a clamp to half's range";
  for (const Value* input : node->inputs)
    if (losesConstant(node, input, half))
      return fmt::format("{}: a constant that half lacks", name);
  return {};
}

bool isCastTo(const Node* node, DType type) {
  return node->as<Cast>() && node->outputs[0]->type.dtype == type;
}

// Whether what stands before or behind the node computes in half.
bool hasHalfNeighbour(const Node* node, DType half) {
  for (const Value* input : node->inputs)
    if (const Node* cast = isFloat32(input) ? producerAs<Cast>(input) : nullptr)
      if (cast->inputs[0]->type.dtype == half) return true;
  for (const Value* output : node->outputs)
    for (const Node* consumer : output->consumers)
      if (isFloat32(output) && isCastTo(consumer, half)) return true;
  return false;
}

// What the node's origins ask for, float32 first.
std::optional<DType> asked(const Node* node, const PrecisionOptions& options,
                           std::optional<DType> LayerPrecision::*which) {
  std::optional<DType> type;
  for (const std::string& origin : node->origins) {
    auto found = options.layers.find(origin);
    if (found == options.layers.end() || !(found->second.*which)) continue;
    const DType one = *(found->second.*which);
    if (one == DType::F32) return one;
    if (isHalf(one)) type = one;
  }
  return type;
}

const std::string* whySensitive(const Node* node, const PrecisionOptions& options) {
  if (!node->as<Conv>() && !node->as<ConvTranspose>()) return nullptr;
  for (const std::string& origin : node->origins)
    if (auto found = options.sensitive.find(origin); found != options.sensitive.end())
      return &found->second;
  return nullptr;
}

// Whether it belongs to what a sensitive layer does to its result, which is rounded behind it,
// once.
bool followsSensitive(const Node* node, const PrecisionOptions& options) {
  while (isPointwise(node) && !node->as<Cast>()) {
    const Node* before = nullptr;
    for (const Value* input : node->inputs)
      if (!before && isFloat32(input) && !input->isConstant()) before = input->producer;
    if (!before || before->outputs[0]->consumers.size() != 1) return false;
    if (whySensitive(before, options)) return true;
    node = before;
  }
  return false;
}

Tensor converted(const Tensor& tensor, DType to) {
  Tensor result(to, {tensor.dims().begin(), tensor.dims().end()});
  const int64_t count = tensor.count();
  if (tensor.dtype() == DType::F32 && to == DType::F16) {
    const auto* from = tensor.as<float>();
    for (int64_t i = 0; i < count; ++i) result.as<uint16_t>()[i] = floatToHalf(from[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) result.view().storeDouble(i, tensor.view().loadDouble(i));
  }
  return result;
}

// What is before a pointwise node or conversion that alone reads it; else null.
const Node* before(const Node* node) {
  if (!isPointwise(node)) return nullptr;
  for (const Value* input : node->inputs)
    if (input && !input->isConstant())
      return input->producer && input->consumers.size() == 1 ? input->producer : nullptr;
  return nullptr;
}

// The convolution that the node is a pointwise step behind; null: none.
const Node* convolutionBefore(const Node* node) {
  for (node = before(node); node; node = before(node))
    if (node->as<Conv>() || node->as<ConvTranspose>()) return node;
  return nullptr;
}

// Whether half has the number of a constant of one element.
bool isExact(const Value* value, DType half) {
  const std::optional<double> number = scalarOf(value);
  return !number || converted(*value->constant, half).view().loadDouble(0) == *number;
}

// Whether it adds or multiplies, behind a convolution, what half would round: that errs in all
// elements alike, which later layers amplify, and costs nothing in a kernel that computes in
// float32.
bool takesNumbers(const Node* node, DType half) {
  if (!node->as<Add>() && !node->as<Mul>() && !node->as<Sub>() && !node->as<Div>()) return false;
  const Node* conv = convolutionBefore(node);
  if (!conv) return false;
  return std::ranges::any_of(node->inputs, [&](const Value* input) {
    if (!input || !isFloat32(input) || !input->isConstant()) return false;
    const bool isBias = node->as<Add>() && before(node)->as<Cast>() &&
                        before(before(node)) == conv && conv->inputs.size() < 3;
    return isBias || !isExact(input, half);
  });
}

// Whether the convolution's bias may stay in float32: a library that multiplies halves adds halves,
// but what is not a residual or a Relu is done by generated code in any case.
bool hasFloatBias(const Node* node) {
  if (!node->as<Conv>() || node->inputs.size() < 3 || !node->inputs[2] ||
      !node->inputs[2]->isConstant())
    return false;
  const std::vector<Node*>& consumers = node->outputs[0]->consumers;
  if (consumers.size() != 1 || !isPointwise(consumers[0])) return false;
  const Node* next = consumers[0];
  return !next->as<Relu>() && !next->as<Add>() && !next->as<Cast>();
}

// What the node is to compute in, and why not in half.
struct Choice {
  DType type = DType::F32;
  std::string kept;
};

Choice chosen(const Node* node, const PrecisionOptions& options) {
  if (const auto type = asked(node, options, &LayerPrecision::compute))
    return {*type, *type == DType::F32 ? "asked for" : ""};
  if (options.half == DType::F32) return {DType::F32, "half is not allowed"};
  if (std::string why = whyUnsafe(node, options.half); !why.empty()) return {DType::F32, why};
  if (const std::string* why = whySensitive(node, options))
    return {DType::F32, fmt::format("{}: {}", node->opName(), *why)};
  if (takesNumbers(node, options.half))
    return {DType::F32, fmt::format("{}: numbers that half rounds", node->opName())};
  if (followsSensitive(node, options)) return {DType::F32, "behind one of those, with it"};
  if (std::ranges::find(kGain, node->opName()) != std::end(kGain) ||
      hasHalfNeighbour(node, options.half))
    return {options.half, ""};
  return {DType::F32, "no neighbour computes in half"};
}

// The one of the graph's constants with these contents: layers may share weights.
Value* equalConstant(const Graph& graph, const Tensor& tensor) {
  for (const auto& value : graph.values())
    if (value->constant && value->constant->sameBytes(tensor)) return value.get();
  return nullptr;
}

// A large number that stands for no limit (a mask's) is no infinity in half either.
bool mayOutgrow(const Value* value, DType half) {
  return half == DType::F16 && value->producer && !value->producer->as<Cast>() &&
         std::ranges::any_of(value->producer->inputs, [](const Value* input) {
           return isFloat32(input) && input->isConstant() && mostOf(*input->constant) > kMostHalf;
         });
}

// `value`, of the type `from`, as `reader` is to have it.
Patch::Ref inType(Patch& patch, const Graph& graph, const Node* reader, Value* value, DType to) {
  if (value->isConstant()) {
    Tensor tensor = converted(*value->constant, to);
    if (Value* equal = equalConstant(graph, tensor)) return equal;
    return patch.constant(std::move(tensor), value->name);
  }
  const bool narrows = isFloat32(value);
  if (const Node* up = producerAs<Cast>(value); narrows && up && up->inputs[0]->type.dtype == to)
    return up->inputs[0];
  for (const Node* consumer : value->consumers)
    if (isCastTo(consumer, to) && graph.placeOf(consumer) < graph.placeOf(reader))
      return consumer->outputs[0];
  Patch::Ref source = value;
  if (mayOutgrow(value, to)) {
    source = patch.convert(Operator::of(Max{}), {source, patch.scalar(DType::F32, -kMostHalf)});
    source = patch.convert(Operator::of(Min{}), {source, patch.scalar(DType::F32, kMostHalf)});
  }
  return patch.convert(Operator::of(Cast{to}), {source});
}

// The node with `to` in place of `from`, between conversions.
Patch computedIn(const Graph& graph, Node* node, DType from, DType to, std::string reason) {
  Patch patch(fmt::format("{} {}", dtypeName(to), node->opName()), node, std::move(reason));
  auto isFrom = [&](const Value* value) { return isOf(value, from); };
  std::vector<std::pair<const Value*, Patch::Ref>> made;
  std::vector<Patch::Ref> inputs;
  for (Value* input : node->inputs) {
    auto known = std::ranges::find(made, input, &std::pair<const Value*, Patch::Ref>::first);
    if (!isFrom(input)) {
      inputs.push_back(input ? Patch::Ref(input) : Patch::Ref());
    } else if (known != made.end()) {
      inputs.push_back(known->second);
    } else {
      inputs.push_back(inType(patch, graph, node, input, to));
      made.emplace_back(input, inputs.back());
    }
  }
  const Patch::Ref same =
      patch.add(node->op, std::move(inputs), static_cast<int>(node->outputs.size()));
  for (size_t i = 0; i < node->outputs.size(); ++i) {
    Patch::Ref output = Patch::outputOf(same, static_cast<int>(i));
    if (isFrom(node->outputs[i])) output = patch.convert(Operator::of(Cast{from}), {output});
    patch.replace(node->outputs[i], output);
  }
  return patch;
}

// A convolution in half whose bias stays in float32, as a sum behind it.
Patch withFloatBias(const Graph& graph, Node* node, DType half) {
  Patch patch(fmt::format("{} {}, its bias not", dtypeName(half), node->opName()), node,
              "what is behind it is code of its own");
  const Patch::Ref same = patch.add(node->op, {inType(patch, graph, node, node->inputs[0], half),
                                               inType(patch, graph, node, node->inputs[1], half)});
  std::vector<int64_t> dims(node->outputs[0]->type.shape.rank() - 1, 1);
  dims[0] = node->inputs[2]->constant->count();
  const Patch::Ref bias =
      patch.constant(node->inputs[2]->constant->reshaped(dims), node->inputs[2]->name);
  patch.replace(node->outputs[0],
                patch.add(Operator::of(Add{}),
                          {patch.convert(Operator::of(Cast{DType::F32}), {same}), bias}));
  return patch;
}

// Output 0 rounded to what was asked for.
Proposal rounded(const Graph& graph, Node* node, DType half) {
  Value* output = node->outputs[0];
  if (!isFloat32(output)) return std::nullopt;
  const bool is = !graph.isOutput(output) && std::ranges::all_of(output->consumers, [&](auto* to) {
    return isCastTo(to, half);
  });
  if (is) return std::nullopt;
  Patch patch(fmt::format("{} gives {}", node->opName(), dtypeName(half)), node, "asked for");
  std::vector<Patch::Ref> inputs;
  for (Value* input : node->inputs) inputs.push_back(input ? Patch::Ref(input) : Patch::Ref());
  const Patch::Ref same =
      patch.add(node->op, std::move(inputs), static_cast<int>(node->outputs.size()));
  for (size_t i = 1; i < node->outputs.size(); ++i)
    patch.replace(node->outputs[i], Patch::outputOf(same, static_cast<int>(i)));
  const Patch::Ref narrow = patch.convert(Operator::of(Cast{half}), {same});
  patch.replace(output, patch.convert(Operator::of(Cast{DType::F32}), {narrow}));
  return patch;
}

}  // namespace

// Layers of float32 that may compute in half, between conversions, which cancel where two meet;
// layers of the model's own half that are to compute in float32.
Proposal halfPrecision(const Graph& graph, Node* node, const PassOptions& options) {
  const PrecisionOptions& precision = options.precision;
  if (precision.half == DType::F32 && precision.layers.empty()) return std::nullopt;
  const auto request = asked(node, precision, &LayerPrecision::compute);
  if (!isOpen(node)) {
    const DType own = ownHalf(node);
    if (own == DType::F32 || request != DType::F32) return std::nullopt;
    return computedIn(graph, node, own, DType::F32, "asked for");
  }
  const Choice choice = chosen(node, precision);
  if (choice.type != DType::F32 && hasFloatBias(node))
    return withFloatBias(graph, node, choice.type);
  if (choice.type != DType::F32)
    return computedIn(graph, node, DType::F32, choice.type, request ? "asked for" : "allowed");
  const auto output = asked(node, precision, &LayerPrecision::output);
  if (output && *output != DType::F32) return rounded(graph, node, *output);
  return std::nullopt;
}

PrecisionReport reportPrecision(const Graph& graph, const PrecisionOptions& options) {
  PrecisionReport report;
  for (const auto& node : graph.nodes()) {
    report.half += ownHalf(node.get()) != DType::F32;
    if (!isOpen(node.get())) continue;
    ++report.float32;
    const std::string reason = chosen(node.get(), options).kept;
    auto kept = std::ranges::find(report.kept, reason, &PrecisionReport::Kept::reason);
    if (kept == report.kept.end()) kept = report.kept.insert(kept, {reason, {}});
    kept->nodes.push_back(node->name);
  }
  return report;
}

std::vector<std::string> unmetPrecisions(const Graph& graph, const PrecisionOptions& options) {
  std::vector<std::string> unmet;
  for (const auto& node : graph.nodes()) {
    const DType has = ownHalf(node.get());
    if (has == DType::F32 && !isOpen(node.get())) continue;
    for (const std::string& origin : node->origins) {
      auto found = options.layers.find(origin);
      if (found == options.layers.end() || !found->second.compute) continue;
      if (*found->second.compute != has)
        unmet.push_back(fmt::format("{} ({}) computes in {}, not {}", origin, node->opName(),
                                    dtypeName(has), dtypeName(*found->second.compute)));
    }
  }
  return unmet;
}

}  // namespace carnot
