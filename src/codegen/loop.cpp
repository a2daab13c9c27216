// A region as one program of an element: operators expanded, tensors' axes aligned.

#include "codegen/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "ops/batch_norm.h"
#include "ops/group_norm.h"
#include "ops/instance_norm.h"
#include "ops/layer_norm.h"
#include "ops/reduce.h"
#include "ops/rms_norm.h"
#include "ops/softmax.h"

namespace carnot {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct NotALoop {
  std::string reason;
};

bool isHalf(DType type) { return type == DType::F16 || type == DType::BF16; }
DType computeType(DType type) { return isHalf(type) ? DType::F32 : type; }
bool isOne(const Dim& dim) { return dim.tryConstant() == 1; }

class LoopBuilder {
 public:
  LoopBuilder(const Region& region, std::span<const TensorType> types,
              std::span<const Tensor* const> constants)
      : region_(region),
        types_(types),
        constants_(constants),
        axes_(region.tensorCount()),
        values_(region.tensorCount()) {}

  Loop build() {
    findRank();
    for (const Region::Step& step : region_.steps) append(step);
    loop_.reduced.assign(loop_.rank, false);
    for (int axis : reducedAxes_.value_or(std::vector<int>{})) loop_.reduced[axis] = true;
    loop_.channelGroups = std::max<int64_t>(groups_, 1);
    for (Loop::Operand& operand : loop_.operands) operand.perRow = isPerRow(operand);
    for (const auto& [tensor, axes] : foldedTensors_) checkFolded(tensor);
    addOutputs();
    splitIntoPasses(loop_, draft_);
    return std::move(loop_);
  }

 private:
  using Axes = std::vector<int>;

  [[noreturn]] static void refuse(std::string reason) { throw NotALoop{std::move(reason)}; }
  const Shape& shapeOf(int tensor) const { return types_[tensor].shape; }
  size_t rankOf(int tensor) const { return shapeOf(tensor).rank(); }

  void findRank() {
    size_t rank = 0;
    for (int tensor = 0; tensor < region_.tensorCount(); ++tensor)
      if (isUsed(tensor)) rank = std::max(rank, rankOf(tensor));
    loop_.rank = static_cast<int>(rank);
    loop_.channelAxis = rank >= 3 ? 1 : -1;
  }

  bool isUsed(int tensor) const { return !region_.isInput(tensor) || region_.useCount(tensor) > 0; }

  // The last `rank` axes of the loop.
  Axes lastAxes(size_t rank) const {
    Axes axes(rank);
    for (size_t i = 0; i < rank; ++i) axes[i] = loop_.rank - static_cast<int>(rank - i);
    return axes;
  }

  static Axes suffix(const Axes& axes, size_t rank) {
    return Axes(axes.end() - static_cast<std::ptrdiff_t>(rank), axes.end());
  }

  const Axes& axesOf(int tensor) {
    if (!axes_[tensor]) axes_[tensor] = lastAxes(rankOf(tensor));
    return *axes_[tensor];
  }

  // ---- Values.

  // The tensor's value in code, an input seen with its axes at `axes`.
  ScalarValue valueOf(int tensor, const Axes& axes) {
    if (values_[tensor]) {
      if (*axes_[tensor] != axes) refuse("tensors of other ranks than the loop's are combined");
      return *values_[tensor];
    }
    const DType type = types_[tensor].dtype;
    const Tensor* constant = constants_.empty() ? nullptr : constants_[tensor];
    if (constant && !constant->empty() && constant->count() == 1 && !isComplex(type)) {
      const TensorView view = constant->view();
      if (isFloat(type)) return builder_.constant(computeType(type), view.loadDouble(0));
      return builder_.constantInt(type, view.loadInt(0));
    }
    return widened(builder_.input(
        operandOf(
            {.kind = Loop::Operand::Kind::Input, .index = tensor, .dtype = type, .axes = axes}),
        type));
  }

  ScalarValue widened(ScalarValue value) {
    return isHalf(value.dtype()) ? builder_.cast(value, DType::F32) : value;
  }

  int operandOf(Loop::Operand operand) {
    auto found = std::ranges::find(loop_.operands, operand);
    if (found == loop_.operands.end()) {
      loop_.operands.push_back(std::move(operand));
      found = loop_.operands.end() - 1;
    }
    return static_cast<int>(found - loop_.operands.begin());
  }

  ScalarValue count(DType type) {
    return builder_.input(
        operandOf({.kind = Loop::Operand::Kind::Count, .index = 0, .dtype = type, .axes = {}}),
        type);
  }

  void define(int tensor, ScalarValue value, Axes axes) {
    values_[tensor] = widened(value);
    axes_[tensor] = std::move(axes);
  }

  ScalarValue unary(ScalarOp op, ScalarValue x) { return builder_.unary(op, x); }
  ScalarValue binary(ScalarOp op, ScalarValue x, ScalarValue y) {
    return builder_.binary(op, x, y);
  }

  ScalarValue fold(Fold kind, ScalarValue value) {
    const int index = LoopDraft::kFirstFold + static_cast<int>(draft_.folds.size());
    draft_.folds.push_back(kind);
    folded_.push_back(value);
    return builder_.input(index, value.dtype());
  }

  ScalarValue mean(ScalarValue value) { return fold(Fold::Sum, value) / count(value.dtype()); }

  // ---- Operators.

  void append(const Region::Step& step) {
    if (step.isPointwise()) return pointwise(step);
    const Operator& op = step.op;
    if (const auto* reduce = op.as<Reduce>()) return appendReduce(step, *reduce);
    if (const auto* softmax = op.as<Softmax>()) return appendSoftmax(step, *softmax);
    if (const auto* norm = op.as<LayerNorm>())
      return appendNorm(step, norm->axis, norm->epsilon, true);
    if (const auto* norm = op.as<RmsNorm>())
      return appendNorm(step, norm->axis, norm->epsilon, false);
    if (const auto* norm = op.as<InstanceNorm>()) return appendChannelNorm(step, norm->epsilon, 0);
    if (const auto* norm = op.as<GroupNorm>())
      return appendChannelNorm(step, norm->epsilon, norm->groups);
    if (const auto* norm = op.as<BatchNorm>()) return appendBatchNorm(step, norm->epsilon);
    refuse(fmt::format("{} is no loop over rows", op.name()));
  }

  void pointwise(const Region::Step& step) {
    const int output = step.firstOutput;
    // NumPy aligns the last axes: those of a local tensor as large as the result, if there is one.
    Axes space = lastAxes(rankOf(output));
    for (int input : step.inputs)
      if (values_[input] && rankOf(input) == rankOf(output)) space = *axes_[input];
    std::vector<ScalarValue> operands;
    operands.reserve(step.inputs.size());
    for (int input : step.inputs) operands.push_back(valueOf(input, suffix(space, rankOf(input))));
    define(output, step.op.definition().expression(step.op, builder_, operands), space);
  }

  // Notes the axes along which the region reduces; all its operators must agree. `groups`: of the
  // channel axis among them; 0 where it is reduced whole or not at all.
  void reduceAlong(int tensor, Axes axes, int64_t groups = 0) {
    std::ranges::sort(axes);
    if (axes.empty()) refuse("a reduction along no axis");
    if (reducedAxes_ && (*reducedAxes_ != axes || groups_ != groups))
      refuse("reductions along different axes");
    reducedAxes_ = axes;
    groups_ = groups;
    foldedTensors_.emplace_back(tensor, axes);
  }

  void requireFloat(int tensor, std::string_view what) const {
    const DType type = types_[tensor].dtype;
    if (type != DType::F32 && type != DType::F64 && !isHalf(type))
      refuse(fmt::format("{} of {}", what, dtypeName(type)));
  }

  void appendReduce(const Region::Step& step, const Reduce& reduce) {
    const int x = step.inputs[0];
    const Axes axes = axesOf(x);
    Axes along, kept;
    for (size_t i = 0; i < axes.size(); ++i) {
      const bool isReduced =
          std::ranges::find(reduce.axes, static_cast<int64_t>(i)) != reduce.axes.end();
      (isReduced ? along : kept).push_back(axes[i]);
    }
    reduceAlong(x, along);
    define(step.firstOutput, reduced(reduce.kind, x, valueOf(x, axes)),
           reduce.keepDims ? axes : kept);
  }

  ScalarValue reduced(ReduceKind kind, int tensor, ScalarValue x) {
    const DType type = x.dtype();
    const bool isExtreme = kind == ReduceKind::Max || kind == ReduceKind::Min;
    if (!isExtreme && dtypeBits(type) < 32)
      refuse(fmt::format("{} of {}", reduceKindName(kind), dtypeName(type)));
    switch (kind) {
      case ReduceKind::Sum:
        return fold(Fold::Sum, x);
      case ReduceKind::Prod:
        return fold(Fold::Prod, x);
      case ReduceKind::L1:
        return fold(Fold::Sum, unary(ScalarOp::Abs, x));
      case ReduceKind::SumSquare:
        return fold(Fold::Sum, x * x);
      case ReduceKind::Max:
      case ReduceKind::Min:
        return extreme(kind == ReduceKind::Max ? Fold::Max : Fold::Min, x);
      default:
        break;
    }
    requireFloat(tensor, reduceKindName(kind));
    switch (kind) {
      case ReduceKind::Mean:
        return mean(x);
      case ReduceKind::L2:
        return unary(ScalarOp::Sqrt, fold(Fold::Sum, x * x));
      case ReduceKind::LogSum:
        return unary(ScalarOp::Log, fold(Fold::Sum, x));
      default: {  // LogSumExp
        const ScalarValue most = fold(Fold::Max, x);
        const ScalarValue infinite =
            binary(ScalarOp::Equal, unary(ScalarOp::Abs, most), builder_.constant(type, kInfinity));
        const ScalarValue shift = builder_.select(infinite, builder_.like(most, 0), most);
        return shift + unary(ScalarOp::Log, fold(Fold::Sum, unary(ScalarOp::Exp, x - shift)));
      }
    }
  }

  // NaN wins, which the processor's own maximum does not see to.
  ScalarValue extreme(Fold kind, ScalarValue x) {
    if (x.dtype() == DType::Bool)
      return builder_.cast(fold(kind, builder_.cast(x, DType::I32)), DType::Bool);
    if (!isFloat(x.dtype())) return fold(kind, x);
    const ScalarValue best = fold(kind, x);
    const ScalarValue nan = unary(ScalarOp::IsNan, x);
    const ScalarValue any = fold(Fold::Max, builder_.cast(nan, x.dtype()));
    return builder_.select(binary(ScalarOp::Less, builder_.like(x, 0), any),
                           builder_.like(x, std::numeric_limits<double>::quiet_NaN()), best);
  }

  void appendSoftmax(const Region::Step& step, const Softmax& softmax) {
    const int x = step.inputs[0];
    requireFloat(x, "Softmax");
    const Axes axes = axesOf(x);
    reduceAlong(x, {axes[static_cast<size_t>(softmax.axis)]});
    const ScalarValue value = valueOf(x, axes);
    const ScalarValue shifted = value - fold(Fold::Max, value);
    const ScalarValue power = unary(ScalarOp::Exp, shifted);
    const ScalarValue sum = fold(Fold::Sum, power);
    define(step.firstOutput,
           softmax.logarithm ? shifted - unary(ScalarOp::Log, sum)
                             : power * unary(ScalarOp::Reciprocal, sum),
           axes);
  }

  // (x - mean) / sqrt(variance + epsilon), or x / sqrt(mean of squares + epsilon).
  ScalarValue normalized(ScalarValue x, double epsilon, bool centered) {
    const ScalarValue y = centered ? x - mean(x) : x;
    return y * unary(ScalarOp::Reciprocal, unary(ScalarOp::Sqrt, mean(y * y) + epsilon));
  }

  void appendNorm(const Region::Step& step, int64_t axis, double epsilon, bool centered) {
    const int x = step.inputs[0];
    requireFloat(x, step.op.name());
    const Axes axes = axesOf(x);
    reduceAlong(x, Axes(axes.begin() + axis, axes.end()));
    ScalarValue y = normalized(valueOf(x, axes), epsilon, centered);
    const int scale = step.inputs[1];
    y = y * sameType(valueOf(scale, suffix(axes, rankOf(scale))), y);
    if (step.inputs.size() > 2 && step.inputs[2] >= 0) {
      const int bias = step.inputs[2];
      y = y + sameType(valueOf(bias, suffix(axes, rankOf(bias))), y);
    }
    define(step.firstOutput, y, axes);
  }

  ScalarValue sameType(ScalarValue value, ScalarValue other) {
    return value.dtype() == other.dtype() ? value : builder_.cast(value, other.dtype());
  }

  ScalarValue perChannel(const Region::Step& step, int input, ScalarValue like) {
    const int channel = axesOf(step.inputs[0])[1];
    return sameType(valueOf(step.inputs[static_cast<size_t>(input)], {channel}), like);
  }

  // Over the spatial axes of each channel, or of each of `groups` runs of channels.
  void appendChannelNorm(const Region::Step& step, double epsilon, int64_t groups) {
    const int x = step.inputs[0];
    requireFloat(x, step.op.name());
    const Axes axes = axesOf(x);
    if (groups > 0 && axes[1] != loop_.channelAxis) refuse("GroupNorm of less than the loop");
    reduceAlong(x, Axes(axes.begin() + (groups > 0 ? 1 : 2), axes.end()), groups);
    const ScalarValue y = normalized(valueOf(x, axes), epsilon, true);
    define(step.firstOutput, y * perChannel(step, 1, y) + perChannel(step, 2, y), axes);
  }

  void appendBatchNorm(const Region::Step& step, double epsilon) {
    const int x = step.inputs[0];
    requireFloat(x, "BatchNorm");
    const Axes axes = axesOf(x);
    if (axes.size() < 2) refuse("BatchNorm of a vector");
    const ScalarValue value = valueOf(x, axes);
    const ScalarValue factor =
        perChannel(step, 1, value) / unary(ScalarOp::Sqrt, perChannel(step, 4, value) + epsilon);
    define(step.firstOutput,
           (value - perChannel(step, 3, value)) * factor + perChannel(step, 2, value), axes);
  }

  // ---- Shapes.

  // The loop's extent along an axis is not 1 for sure.
  bool isWide(int axis) {
    for (int tensor = 0; tensor < region_.tensorCount(); ++tensor) {
      if (!isUsed(tensor)) continue;
      const Axes& axes = axesOf(tensor);
      for (size_t i = 0; i < axes.size(); ++i)
        if (axes[i] == axis && !isOne(shapeOf(tensor)[i])) return true;
    }
    return false;
  }

  // Whether the tensor, with these axes, spans a loop axis that is wider than 1.
  bool spans(int tensor, const Axes& axes, int axis) {
    for (size_t i = 0; i < axes.size(); ++i)
      if (axes[i] == axis) return !isOne(shapeOf(tensor)[i]) || !isWide(axis);
    return !isWide(axis);
  }

  bool isPerRow(const Loop::Operand& operand) {
    if (!reducedAxes_) return false;
    if (operand.kind == Loop::Operand::Kind::Count) return true;
    const int tensor = operand.kind == Loop::Operand::Kind::Input
                           ? operand.index
                           : region_.outputs[static_cast<size_t>(operand.index)];
    for (size_t i = 0; i < operand.axes.size(); ++i)
      if (loop_.reduced[operand.axes[i]] && !isOne(shapeOf(tensor)[i])) return false;
    return true;
  }

  void checkFolded(int tensor) {
    for (int axis : *reducedAxes_)
      if (!spans(tensor, axesOf(tensor), axis)) refuse("a reduction of a broadcast tensor");
  }

  void addOutputs() {
    std::vector<ScalarValue> results;
    for (size_t i = 0; i < region_.outputs.size(); ++i) {
      const int tensor = region_.outputs[i];
      if (region_.isInput(tensor)) refuse("an input leaves the region unchanged");
      Loop::Operand operand{.kind = Loop::Operand::Kind::Output,
                            .index = static_cast<int>(i),
                            .dtype = types_[tensor].dtype,
                            .axes = *axes_[tensor]};
      operand.perRow = isPerRow(operand);
      for (int axis = 0; axis < loop_.rank; ++axis)
        if (!(operand.perRow && loop_.reduced[axis]) && !spans(tensor, operand.axes, axis))
          refuse("an output smaller than the loop");
      const ScalarValue value = *values_[tensor];
      results.push_back(value.dtype() == operand.dtype ? value
                                                       : builder_.cast(value, operand.dtype));
      draft_.outputOperands.push_back(static_cast<int>(loop_.operands.size()));
      loop_.operands.push_back(std::move(operand));
    }
    results.insert(results.end(), folded_.begin(), folded_.end());
    draft_.program = std::move(builder_).finish(results);
  }

  const Region& region_;
  std::span<const TensorType> types_;
  std::span<const Tensor* const> constants_;
  Loop loop_;
  LoopDraft draft_;
  ScalarBuilder builder_;
  std::vector<std::optional<Axes>> axes_;           // by tensor
  std::vector<std::optional<ScalarValue>> values_;  // by tensor, those made by steps
  std::vector<ScalarValue> folded_;
  std::optional<Axes> reducedAxes_;
  int64_t groups_ = 0;
  std::vector<std::pair<int, Axes>> foldedTensors_;
};

}  // namespace

std::variant<Loop, std::string> describeLoop(const Region& region,
                                             std::span<const TensorType> types,
                                             std::span<const Tensor* const> constants) {
  try {
    return LoopBuilder(region, types, constants).build();
  } catch (NotALoop& refusal) {
    return std::move(refusal.reason);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) throw;
    return std::string(error.what());
  }
}

}  // namespace carnot
