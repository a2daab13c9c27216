#include "ops/onnx_signal.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/convert.h"
#include "base/error.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_broadcast.h"
#include "ops/pointwise_binary.h"
#include "ops/pointwise_unary.h"
#include "ops/range.h"

namespace carnot {

namespace {

constexpr int64_t kMostWeights = 1 << 24;  // 64 MiB

using Ref = OnnxNode::Ref;

// The sum over k of terms[k] cos(2 pi k n / period), n = 0, 1, ... size - 1; the period is the
// size, or one less where the window is symmetric.
void importWindow(OnnxNode& node, std::initializer_list<double> terms) {
  const DType to = node.attributeDType("output_datatype", DType::F32);
  const DType wide = to == DType::F64 ? DType::F64 : DType::F32;
  auto number = [&](double value) { return node.scalar(wide, value); };
  const Ref size = emitCast(node, asScalar(node, node.requireInput(0)), DType::I64);
  const Ref zero = node.scalar(DType::I64, 0), one = node.scalar(DType::I64, 1);
  const Ref positions = node.emit(Operator::of(Range{}), {zero, size, one});
  Ref period = emitCast(node, size, wide);
  if (node.attributeInt("periodic", 1) == 0)
    period = node.emit(Operator::of(Sub{}), {period, number(1)});
  const Ref phase = node.emit(Operator::of(Div{}), {emitCast(node, positions, wide), period});
  Ref window;
  int k = 0;
  for (double term : terms) {
    Ref part = number(term);
    if (k > 0) {
      part = node.emit(Operator::of(Mul{}), {phase, number(2 * std::numbers::pi * k)});
      part = node.emit(Operator::of(Cos{}), {part});
      part = node.emit(Operator::of(Mul{}), {part, number(term)});
    }
    window = k == 0 ? part : node.emit(Operator::of(Add{}), {window, part});
    ++k;
  }
  node.setOutput(0, emitCast(node, window, to));
}

}  // namespace

void importHannWindow(OnnxNode& node) { importWindow(node, {0.5, -0.5}); }

void importHammingWindow(OnnxNode& node) { importWindow(node, {25.0 / 46, -21.0 / 46}); }

void importBlackmanWindow(OnnxNode& node) { importWindow(node, {0.42, -0.5, 0.08}); }

void importMelWeightMatrix(OnnxNode& node) {
  auto number = [&](size_t i) { return node.requireConstantScalar(i); };
  const int64_t bands = truncateToInt(number(0)), length = truncateToInt(number(1));
  const double rate = number(2), lower = number(3), upper = number(4);
  if (bands < 0 || length < 0 || rate <= 0 || lower < 0 || upper < lower)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} bands of {} samples at {} Hz, from {} to {} Hz", bands, length,
                            rate, lower, upper),
                "no negative number, a rate, and a lower edge below the upper one");
  const int64_t bins = length / 2 + 1;
  if (bins > kMostWeights / std::max<int64_t>(bands, 1))
    throw Error(ErrorCode::InvalidModel, fmt::format("{} bins of {} bands", bins, bands),
                fmt::format("at most {} weights", kMostWeights));
  auto mels = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double first = mels(lower);
  const double step = (mels(upper) - first) / static_cast<double>(bands + 2);
  auto edge = [&](int64_t i) {
    const double hertz = 700 * (std::pow(10, (first + static_cast<double>(i) * step) / 2595) - 1);
    return truncateToInt(std::floor(static_cast<double>(length + 1) * hertz / rate));
  };
  Tensor weights(node.attributeDType("output_datatype", DType::F32), {bins, bands});
  const TensorView view = weights.view();
  for (int64_t i = 0; i < bins * bands; ++i) view.storeDouble(i, 0);
  for (int64_t band = 0; band < bands; ++band) {
    const int64_t left = edge(band), centre = edge(band + 1), right = edge(band + 2);
    if (left < 0 || right > bins || centre >= bins)
      throw Error(ErrorCode::InvalidModel, fmt::format("bin {} of {} at {} Hz", right, bins, upper),
                  "an upper edge of at most half the sample rate");
    auto put = [&](int64_t bin, int64_t part, int64_t whole) {
      const double weight = whole == 0 ? 1 : static_cast<double>(part) / static_cast<double>(whole);
      view.storeDouble(bin * bands + band, weight);
    };
    for (int64_t bin = left; bin <= centre; ++bin) put(bin, bin - left, centre - left);
    for (int64_t bin = centre; bin < right; ++bin) put(bin, right - bin, right - centre);
  }
  node.setOutput(0, node.constant(std::move(weights)));
}

}  // namespace carnot
