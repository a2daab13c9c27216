#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/parameters.h"
#include "ops/reformat.h"

namespace carnot {
namespace {

constexpr int64_t kGrainBytes = 64 << 10;

// A tensor as images of channels × positions: element (n, c, p) lies at
// n * image + (c / block) * outer + (c % block) * inner + p * position.
struct Strides {
  int64_t block = 1, image = 0, outer = 0, inner = 0, position = 0;
};

struct Extent {
  int64_t images = 1, channels = 1, positions = 1;
};

Strides stridesOf(Layout layout, const Extent& extent) {
  switch (layout.kind) {
    case Layout::Kind::Plain:
      return {1, extent.channels * extent.positions, extent.positions, 0, 1};
    case Layout::Kind::ChannelsLast:
      return {1, extent.channels * extent.positions, 1, 0, extent.channels};
    case Layout::Kind::ChannelBlocked: {
      const int64_t block = layout.block;
      const int64_t blocks = (extent.channels + block - 1) / block;
      return {block, blocks * block * extent.positions, block * extent.positions, 1, block};
    }
  }
  return {};
}

// Channels that lie evenly in both tensors are copied together: a run is [first, first + count).
template <typename T>
void copyImages(T* to, const Strides& toAt, const T* from, const Strides& fromAt,
                const Extent& extent, int64_t begin, int64_t end) {
  const int64_t group = std::max(toAt.block, fromAt.block);
  const int64_t groups = (extent.channels + group - 1) / group;
  constexpr int64_t kTile = 64;  // positions at a time: both sides of the tile stay in L1
  const int64_t tiles = (extent.positions + kTile - 1) / kTile;
  for (int64_t item = begin; item < end; ++item) {
    const int64_t tile = item % tiles, rest = item / tiles;
    const int64_t image = rest / groups, channel = rest % groups * group;
    const int64_t first = tile * kTile, last = std::min(first + kTile, extent.positions);
    const int64_t channels = std::min(group, extent.channels - channel);
    for (int64_t c = channel; c < channel + channels; ++c) {
      T* out = to + image * toAt.image + c / toAt.block * toAt.outer + c % toAt.block * toAt.inner;
      const T* in = from + image * fromAt.image + c / fromAt.block * fromAt.outer +
                    c % fromAt.block * fromAt.inner;
      for (int64_t p = first; p < last; ++p) out[p * toAt.position] = in[p * fromAt.position];
    }
  }
}

class ReformatExecutable : public Executable {
 public:
  ReformatExecutable(Layout from, Layout to, int elementBytes, std::span<const int64_t> dims)
      : elementBytes_(elementBytes) {
    if (from == to) {
      wholeBytes_ = physicalCount(from, dims) * elementBytes;
      return;
    }
    extent_.images = dims[0];
    extent_.channels = dims[1];
    for (size_t axis = 2; axis < dims.size(); ++axis) extent_.positions *= dims[axis];
    from_ = stridesOf(from, extent_);
    to_ = stridesOf(to, extent_);
    const int64_t group = std::max(from_.block, to_.block);
    items_ =
        extent_.images * ((extent_.channels + group - 1) / group) * ((extent_.positions + 63) / 64);
    grain_ = std::max<int64_t>(1, kGrainBytes / (group * 64 * elementBytes));
  }

  void run(const RunArguments& arguments) const override {
    const void* from = arguments.inputs[0];
    void* to = arguments.outputs[0];
    if (wholeBytes_ >= 0) {
      arguments.pool->forRange(wholeBytes_, kGrainBytes, [&](int64_t begin, int64_t end) {
        std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                    static_cast<size_t>(end - begin));
      });
      return;
    }
    arguments.pool->forRange(items_, grain_, [&](int64_t begin, int64_t end) {
      auto copy = [&](auto* out, const auto* in) {
        copyImages(out, to_, in, from_, extent_, begin, end);
      };
      switch (elementBytes_) {
        case 1:
          return copy(static_cast<uint8_t*>(to), static_cast<const uint8_t*>(from));
        case 2:
          return copy(static_cast<uint16_t*>(to), static_cast<const uint16_t*>(from));
        case 4:
          return copy(static_cast<uint32_t*>(to), static_cast<const uint32_t*>(from));
        default:
          return copy(static_cast<uint64_t*>(to), static_cast<const uint64_t*>(from));
      }
    });
  }

 private:
  int elementBytes_;
  int64_t wholeBytes_ = -1;  // of a copy without change; negative: layouts differ
  Extent extent_;
  Strides from_, to_;
  int64_t items_ = 0, grain_ = 1;
};

class BoundReformat : public BoundKernel {
 public:
  explicit BoundReformat(StoredProblem stored) : stored_(std::move(stored)) {}

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    concreteTypes(stored_, presentInputs(stored_.problem), shapes);
    return std::make_unique<ReformatExecutable>(
        stored_.configuration.inputs[0], stored_.configuration.outputs[0],
        dtypeBits(stored_.problem.inputs[0].dtype) / 8, shapes.outputs[0]);
  }

 private:
  StoredProblem stored_;
};

// Copies between any two layouts.
class CopyReformat : public Kernel {
 public:
  std::string_view name() const override { return "cpu/copy/reformat"; }

  Support supports(const Problem& problem) const override {
    if (problem.region.steps.size() != 1 || !problem.region.steps[0].op.is<Reformat>())
      return Refusal{"not a change of layout alone"};
    const int bits = dtypeBits(problem.inputs[0].dtype);
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
      return Refusal{"elements are not of 1, 2, 4 or 8 bytes"};
    std::vector<Layout> layouts = {Layout::plain()};
    if (problem.inputs[0].shape.rank() >= 3)
      for (Layout layout : {Layout::channelsLast(), Layout::channelBlocked(8),
                            Layout::channelBlocked(16), Layout::channelBlocked(4)})
        layouts.push_back(layout);
    std::vector<Configuration> configurations;
    for (Layout from : layouts)
      for (Layout to : layouts) configurations.push_back({{}, {from}, {to}});
    return configurations;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    StoredProblem stored = decodeProblem(arguments.parameters, arguments.device);
    Support support = supports(stored.problem);
    const auto* known = std::get_if<std::vector<Configuration>>(&support);
    if (!known || std::none_of(known->begin(), known->end(), [&](const Configuration& one) {
          return one.inputs == stored.configuration.inputs &&
                 one.outputs == stored.configuration.outputs;
        }))
      throwBadParameters("no such change of layout");
    return std::make_unique<BoundReformat>(std::move(stored));
  }
};

}  // namespace

const Kernel& copyReformat() {
  static const CopyReformat kernel;
  return kernel;
}

}  // namespace carnot
