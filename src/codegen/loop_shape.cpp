#include "codegen/loop_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace carnot {
namespace {

// A loop axis at concrete dims, with each operand's stride in elements.
struct Axis {
  int64_t extent = 1;
  bool reduced = false;
  std::vector<int64_t> strides;
};

[[noreturn]] void refuseDims(const Loop::Operand& operand, int64_t dim, int64_t extent) {
  throw Error(ErrorCode::InvalidModel,
              fmt::format("extent {} along axis of extent {}, tensor {} of a loop", dim, extent,
                          operand.index),
              "extents that broadcast");
}

// The channel axis, reduced within groups, as two: the groups, which are not, and a group's
// channels.
void splitGroups(const Loop& loop, std::vector<Axis>& axes) {
  if (loop.channelGroups == 1) return;
  Axis& channels = axes[loop.channelAxis];
  if (channels.extent % loop.channelGroups != 0)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} channels in {} groups", channels.extent, loop.channelGroups),
                "groups of equal size");
  channels.extent /= loop.channelGroups;
  Axis groups{.extent = loop.channelGroups, .reduced = false, .strides = channels.strides};
  for (int64_t& stride : groups.strides) stride *= channels.extent;
  axes.insert(axes.begin() + loop.channelAxis, std::move(groups));
}

// Beside an empty axis the others count for nothing, however many elements they claim: those that
// are reduced beside a reduced one, all beside another.
void countNothing(std::vector<Axis>& axes) {
  for (const bool reduced : {true, false}) {
    auto isEmpty = [&](const Axis& axis) { return axis.extent == 0 && axis.reduced == reduced; };
    if (std::ranges::none_of(axes, isEmpty)) continue;
    for (Axis& axis : axes)
      if (axis.extent != 0 && (axis.reduced || !reduced)) axis.extent = 1;
  }
}

// So that no sum or product of extents and strides, in bits, leaves 64 of them.
void limitElements(std::span<const Axis> axes) {
  constexpr int64_t kMost = int64_t{1} << 48;
  int64_t elements = 1;
  for (const Axis& axis : axes) {
    if (axis.extent > 0 && elements > kMost / axis.extent)
      throw Error(ErrorCode::OutOfMemory, "a loop over more than 2^48 elements",
                  "tensors that memory can hold", "use a smaller model or shape");
    elements *= std::max<int64_t>(axis.extent, 1);
  }
}

std::vector<Axis> makeAxes(const Loop& loop, std::span<const OperandDims> operands, int block) {
  const bool blocked = block > 1;
  std::vector<Axis> axes(static_cast<size_t>(loop.rank) + (blocked ? 1 : 0));
  for (int axis = 0; axis < loop.rank; ++axis) axes[axis].reduced = loop.reduced[axis];
  for (Axis& axis : axes) axis.strides.assign(operands.size(), 0);
  auto widen = [&](Axis& axis, int64_t extent, const Loop::Operand& operand) {
    if (extent == 1) return;
    if (axis.extent != 1 && axis.extent != extent) refuseDims(operand, extent, axis.extent);
    axis.extent = extent;
  };
  bool channelsLast = false;
  for (size_t k = 0; k < operands.size(); ++k) {
    const Loop::Operand& operand = loop.operands[k];
    const bool isBlocked = operands[k].layout.kind == Layout::Kind::ChannelBlocked;
    const bool isLast = operands[k].layout.kind == Layout::Kind::ChannelsLast;
    ensure(!isBlocked || operands[k].layout.block == block, "a loop's operands share one block");
    ensure(!isLast || (!blocked && loop.channelGroups == 1 && operands[k].dims.size() >= 3),
           "channels-last operands have channels, and none in groups or blocks");
    channelsLast |= isLast;
    int64_t stride = isLast ? std::max<int64_t>(operands[k].dims[1], 1) : 1;
    if (isBlocked) {
      axes.back().strides[k] = 1;
      widen(axes.back(), block, operand);
      stride = block;
    }
    for (size_t i = operand.axes.size(); i-- > 0;) {
      const bool isChannel = operand.axes[i] == loop.channelAxis;
      int64_t extent = operands[k].dims[i];
      if (isBlocked && isChannel) extent = (extent + block - 1) / block;
      ensure(isBlocked || !blocked || !isChannel || extent == 1,
             "a plain operand of a blocked loop has one channel");
      Axis& axis = axes[operand.axes[i]];
      axis.strides[k] = extent == 1 ? 0 : isLast && isChannel ? 1 : stride;
      widen(axis, extent, operand);
      if (isLast && isChannel) continue;
      // Nothing is read where an extent is 0, nor of what no memory holds.
      if (__builtin_mul_overflow(stride, std::max<int64_t>(extent, 1), &stride)) stride = 0;
    }
  }
  splitGroups(loop, axes);
  countNothing(axes);
  limitElements(axes);
  if (channelsLast)
    std::rotate(axes.begin() + loop.channelAxis, axes.begin() + loop.channelAxis + 1, axes.end());
  return axes;
}

bool mergeable(const Axis& outer, const Axis& inner) {
  if (outer.reduced != inner.reduced) return false;
  for (size_t k = 0; k < inner.strides.size(); ++k)
    if (outer.strides[k] != inner.strides[k] * inner.extent) return false;
  return true;
}

// Without axes of extent 1, neighbours joined where every operand steps evenly through both.
std::vector<Axis> merged(const std::vector<Axis>& axes) {
  std::vector<Axis> result;
  for (const Axis& axis : axes) {
    if (axis.extent == 1) continue;
    if (!result.empty() && mergeable(result.back(), axis)) {
      result.back().extent *= axis.extent;
      result.back().strides = axis.strides;
    } else {
      result.push_back(axis);
    }
  }
  return result;
}

class Shaper {
 public:
  Shaper(const Loop& loop, std::span<const OperandDims> operands, int block, int maxPeriod)
      : loop_(loop), axes_(makeAxes(loop, operands, block)), maxPeriod_(maxPeriod) {
    shape_.strides.resize(operands.size());
    shape_.variant.period.assign(operands.size(), 0);
  }

  LoopShape run() {
    checkOutputs();
    axes_ = merged(axes_);
    if (loop_.hasRows())
      placeReduced();
    else
      placeFlat();
    for (size_t k = 0; k < shape_.strides.size(); ++k) {
      auto& period = shape_.variant.period[k];
      const bool isOutput = loop_.operands[k].kind == Loop::Operand::Kind::Output;
      if (period == 0 && !isOutput && stride(vectorAxis_, k) == 0) period = 1;
      shape_.strides[k].vector = bytes(k, stride(vectorAxis_, k));
    }
    placeRows();
    return std::move(shape_);
  }

 private:
  int64_t bytes(size_t k, int64_t elements) const {
    return elements * dtypeBits(loop_.operands[k].dtype) / 8;
  }
  static int64_t stride(const Axis& axis, size_t k) {
    return axis.strides.empty() ? 0 : axis.strides[k];
  }

  void checkOutputs() const {
    for (size_t k = 0; k < loop_.operands.size(); ++k) {
      const Loop::Operand& operand = loop_.operands[k];
      if (operand.kind != Loop::Operand::Kind::Output) continue;
      for (const Axis& axis : axes_)
        if (axis.extent > 1 && axis.strides[k] == 0 && !(operand.perRow && axis.reduced))
          refuseDims(operand, 1, axis.extent);
    }
  }

  Axis take(size_t position) {
    Axis axis = std::move(axes_[position]);
    axes_.erase(axes_.begin() + static_cast<std::ptrdiff_t>(position));
    return axis;
  }

  void placeFlat() {
    if (axes_.empty()) return;
    vectorAxis_ = take(axes_.size() - 1);
    widenByPeriods();
    shape_.length = vectorAxis_.extent;
    for (size_t k = 0; k < shape_.strides.size(); ++k)
      shape_.strides[k].element = bytes(k, stride(vectorAxis_, k));
  }

  // A short innermost axis joins the next one: operands that lack the next one repeat themselves.
  void widenByPeriods() {
    const int64_t period = vectorAxis_.extent;
    if (axes_.empty() || period > maxPeriod_ || !std::has_single_bit(static_cast<uint64_t>(period)))
      return;
    const Axis& next = axes_.back();
    for (size_t k = 0; k < next.strides.size(); ++k) {
      const bool isDense = next.strides[k] == vectorAxis_.strides[k] * period;
      if (!isDense && next.strides[k] != 0) return;
    }
    for (size_t k = 0; k < next.strides.size(); ++k)
      if (next.strides[k] == 0 && vectorAxis_.strides[k] != 0)
        shape_.variant.period[k] = static_cast<uint8_t>(period);
    vectorAxis_.extent *= next.extent;
    axes_.pop_back();
  }

  void placeReduced() {
    const bool alongLanes = !axes_.empty() && !axes_.back().reduced;
    shape_.variant.alongLanes = alongLanes;
    if (alongLanes) {
      vectorAxis_ = take(axes_.size() - 1);
      shape_.lanes = vectorAxis_.extent;
    }
    int found = 0;
    for (size_t i = axes_.size(); i-- > 0;) {
      if (!axes_[i].reduced) continue;
      const Axis axis = take(i);
      if (++found > 2)
        throw Error(ErrorCode::Unsupported, "reduced axes that do not join into two loops");
      (found == 1 ? shape_.length : shape_.repeats) = axis.extent;
      for (size_t k = 0; k < shape_.strides.size(); ++k)
        (found == 1 ? shape_.strides[k].element : shape_.strides[k].repeat) =
            bytes(k, stride(axis, k));
      if (found == 1 && !alongLanes) vectorAxis_ = axis;
    }
    shape_.variant.nested = found > 1;
  }

  // What is left: the innermost axis as rows, the others outside.
  void placeRows() {
    if (!axes_.empty()) {
      const Axis axis = take(axes_.size() - 1);
      shape_.rows = axis.extent;
      for (size_t k = 0; k < shape_.strides.size(); ++k)
        shape_.strides[k].row = bytes(k, stride(axis, k));
    }
    for (const Axis& axis : axes_) {
      shape_.outer.push_back(axis.extent);
      for (size_t k = 0; k < shape_.strides.size(); ++k)
        shape_.strides[k].outer.push_back(bytes(k, stride(axis, k)));
    }
  }

  const Loop& loop_;
  std::vector<Axis> axes_;
  Axis vectorAxis_;
  int maxPeriod_;
  LoopShape shape_;
};

}  // namespace

int64_t LoopShape::rowCount() const {
  int64_t count = rows;
  for (int64_t extent : outer) count *= extent;
  return count;
}

LoopShape shapeLoop(const Loop& loop, std::span<const OperandDims> operands, int block,
                    int maxPeriod) {
  return Shaper(loop, operands, block, maxPeriod).run();
}

std::string refuseAxes(const Loop& loop, std::span<const TensorType> operandTypes) {
  // Neighbouring reduced axes join unless an operand spans some of them only.
  int loops = 0;
  for (int axis = 0; axis < loop.rank; ++axis) {
    if (!loop.reduced[axis]) continue;
    bool joins = axis > 0 && loop.reduced[axis - 1];
    for (size_t k = 0; joins && k < loop.operands.size(); ++k) {
      bool here = false, before = false;
      for (size_t i = 0; i < loop.operands[k].axes.size(); ++i) {
        const bool wide = operandTypes[k].shape[i].tryConstant() != 1;
        here |= wide && loop.operands[k].axes[i] == axis;
        before |= wide && loop.operands[k].axes[i] == axis - 1;
      }
      joins = here == before;
    }
    if (!joins) ++loops;
  }
  if (loops <= 2) return {};
  return fmt::format("reduced axes that need {} loops", loops);
}

}  // namespace carnot
