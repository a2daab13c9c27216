#include "base/threads.h"
#include "kernels/cpu/strided_copy.h"
#include "kernels/pads.h"
#include "ops/elements.h"
#include "ops/pad.h"

namespace carnot {
namespace {

// Output elements [begin, end) along the last padded axis and what they come from: `source`, then
// every `step`; -1 is the constant.
struct PadSegment {
  int64_t begin, end, source, step;
};

std::vector<PadSegment> segmentsOf(std::span<const int64_t> sources) {
  std::vector<PadSegment> segments;
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t source = sources[i];
    if (!segments.empty()) {
      PadSegment& last = segments.back();
      const int64_t step = source - sources[i - 1];
      const bool single = last.end - last.begin == 1;
      const bool constants = source < 0 && last.source < 0;
      const bool run = source >= 0 && last.source >= 0 && step >= -1 && step <= 1;
      if (constants || (run && (single || step == last.step))) {
        if (run) last.step = step;
        last.end = at + 1;
        continue;
      }
    }
    segments.push_back({at, at + 1, source, 0});
  }
  return segments;
}

// The axes behind the last padded one lie together: a unit. Rows run along that axis, through its
// segments.
class PadExecutable : public Executable {
 public:
  PadExecutable(const Pad& pad, const OneStep& step, std::span<const int64_t> pads,
                const ConcreteShapes& shapes)
      : x_(step.position(0)), elementBytes_(elementBytes(step.desc(0).dtype)) {
    if (step.has(2)) value_ = static_cast<int>(step.position(2));
    const std::vector<int64_t>&x = shapes.inputs[x_], &y = shapes.outputs[0];
    const std::vector<int64_t> strides = rowMajorStrides(x);
    const size_t rank = x.size();
    size_t count = rank;
    while (count > 0 && pads[count - 1] == 0 && pads[rank + count - 1] == 0) --count;
    unitBytes_ = elementBytes_ * (count == 0 ? elementCount(x) : strides[count - 1]);
    columns_ = 1;
    if (count == 0) segments_.push_back({0, 1, 0, 0});
    units_ = 1;
    for (size_t axis = 0; axis < count; ++axis) {
      std::vector<int64_t> sources = padSources(pad.mode, x[axis], pads[axis], pads[rank + axis]);
      units_ *= y[axis];
      if (axis + 1 == count) {
        columns_ = y[axis];
        segments_ = segmentsOf(sources);
      } else {
        for (int64_t& source : sources)
          if (source >= 0) source *= strides[axis] * elementBytes_;
        rowAxes_.push_back(std::move(sources));
      }
    }
  }

  void run(const RunArguments& arguments) const override {
    if (unitBytes_ == 0) return;
    auto* x = static_cast<const char*>(arguments.inputs[x_]);
    auto* y = static_cast<char*>(arguments.outputs[0]);
    static constexpr char kZero[16] = {};
    auto* value = value_ < 0 ? kZero : static_cast<const char*>(arguments.inputs[value_]);
    const int64_t grain = std::max<int64_t>(1, kCopyGrain / unitBytes_);
    arguments.pool->forRange(units_, grain, [&](int64_t begin, int64_t end) {
      while (begin < end) {
        const int64_t row = begin / columns_, first = begin % columns_;
        const int64_t last = std::min(columns_, first + end - begin);
        copyRow(x, y + begin * unitBytes_, row, first, last, value);
        begin += last - first;
      }
    });
  }

 private:
  void copyRow(const char* x, char* to, int64_t row, int64_t first, int64_t last,
               const char* value) const {
    for (size_t axis = rowAxes_.size(); axis-- > 0;) {
      const auto extent = static_cast<int64_t>(rowAxes_[axis].size());
      const int64_t offset = rowAxes_[axis][static_cast<size_t>(row % extent)];
      if (offset < 0) return fillUnits(to, last - first, value);
      row /= extent;
      x += offset;
    }
    for (const PadSegment& segment : segments_) {
      const int64_t begin = std::max(first, segment.begin), end = std::min(last, segment.end);
      if (begin >= end) continue;
      char* target = to + (begin - first) * unitBytes_;
      if (segment.source < 0) {
        fillUnits(target, end - begin, value);
        continue;
      }
      const char* from = x + (segment.source + (begin - segment.begin) * segment.step) * unitBytes_;
      if (segment.step == 1) {
        copyBytes(target, from, (end - begin) * unitBytes_);
        continue;
      }
      for (int64_t i = begin; i < end; ++i, target += unitBytes_, from += segment.step * unitBytes_)
        copyBytes(target, from, unitBytes_);
    }
  }

  void fillUnits(char* to, int64_t units, const char* value) const {
    fillElements(to, value, elementBytes_, units * (unitBytes_ / elementBytes_));
  }

  size_t x_;
  int value_ = -1;
  int64_t elementBytes_, unitBytes_ = 0, columns_ = 1, units_ = 0;
  std::vector<std::vector<int64_t>> rowAxes_;  // offsets in the input, in bytes, or -1
  std::vector<PadSegment> segments_;
};

class CopyPad : public OneStepKernel<Pad> {
 public:
  std::string_view name() const override { return "cpu/copy/pad"; }

 protected:
  Support supportsStep(const Pad&, const OneStep& step, const Problem& problem) const override {
    if (!step.has(0) || !step.has(1)) return Refusal{"pads a tensor"};
    const TensorDesc& x = step.desc(0);
    if (std::string why = whyNotCopied(x.dtype, x.shape.rank()); !why.empty()) return Refusal{why};
    if (!step.desc(1).constant && !step.desc(1).contents)
      return Refusal{"the pads do not follow from the shapes"};
    return std::vector<Configuration>{{{}, plainLayouts(problem.inputs.size()), plainLayouts(1)}};
  }

  std::unique_ptr<Executable> makeExecutable(const Pad& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const Problem concrete = stored.problem.substitute(shapes.symbols);
    const OneStep step(concrete);
    const std::vector<int64_t> pads = padsOf(step, shapes.inputs[step.position(0)].size());
    return std::make_unique<PadExecutable>(op, step, pads, shapes);
  }
};

}  // namespace

const Kernel& copyPad() {
  static const CopyPad kernel;
  return kernel;
}

}  // namespace carnot
