#include "passes/sensitive.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <ranges>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "ops/conv.h"
#include "ops/conv_transpose.h"

namespace carnot {

namespace {

// Convolutions behind one, above which it keeps float32: docs/gpu.md has what that gains.
constexpr int kMostBehind = 24;

// Operations a byte that units for float32 do about as fast as memory brings the bytes.
constexpr double kKeptUpWith = 15;

bool isConvolution(const Node& node) { return node.as<Conv>() || node.as<ConvTranspose>(); }

// Whether each channel of the result comes from one channel alone.
bool isByChannel(const Node& node) {
  const auto* conv = node.as<Conv>();
  return conv && conv->group > 1 && node.inputs[1]->type.shape[1].tryConstant() == 1;
}

bool isOnePixel(const Node& node) {
  const Shape& shape = node.outputs[0]->type.shape;
  for (size_t axis = 2; axis < shape.rank(); ++axis)
    if (shape[axis].tryConstant() != 1) return false;
  return true;
}

int64_t product(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{1}, std::multiplies<>());
}

// Operations a byte of a convolution's operand and result in float32, weights left out; nothing
// where its weights' dims are not known.
std::optional<double> operationsPerByte(const Node& node) {
  const auto* conv = node.as<Conv>();
  const Shape& weights = node.inputs[1]->type.shape;
  if (!conv || !weights.isStatic()) return std::nullopt;
  const std::vector<int64_t> dims = weights.concrete();
  const auto channels = static_cast<double>(dims[1] * conv->group * product(conv->strides));
  return 2.0 * static_cast<double>(product(dims)) / (4 * (static_cast<double>(dims[0]) + channels));
}

// Half keeps its place where float32 would take longer than the memory does.
bool isCheap(const Node& node) {
  return operationsPerByte(node).value_or(kKeptUpWith) < kKeptUpWith;
}

std::string whySensitive(const Node& node, int behind, Rounding rounding) {
  if (isByChannel(node)) return "by channel, which tensor cores do not speed up";
  if (isOnePixel(node)) return "one pixel, which tensor cores do not speed up";
  if (behind > kMostBehind && (rounding == Rounding::Tf32 || isCheap(node)))
    return fmt::format("{} convolutions behind it may amplify its errors", behind);
  return {};
}

}  // namespace

SensitiveLayers sensitiveLayers(const Graph& graph, Rounding rounding) {
  SensitiveLayers layers;
  std::unordered_map<const Node*, int> behind;  // the most convolutions on a way to the outputs
  for (const auto& node : std::views::reverse(graph.nodes())) {
    int most = 0;
    for (const Value* output : node->outputs)
      for (const Node* consumer : output->consumers)
        most = std::max(most, behind.at(consumer) +
                                  (isConvolution(*consumer) && !isOnePixel(*consumer) ? 1 : 0));
    behind[node.get()] = most;
    if (!isConvolution(*node)) continue;
    const std::string why = whySensitive(*node, most, rounding);
    if (why.empty()) continue;
    for (const std::string& origin : node->origins) layers.emplace(origin, why);
  }
  return layers;
}

}  // namespace carnot
