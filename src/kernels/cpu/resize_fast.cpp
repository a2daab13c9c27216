#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/one_step.h"
#include "kernels/cpu/resize_loops.h"
#include "ops/resize.h"

namespace carnot {
namespace {

constexpr int64_t kGrainFloats = 16 << 10;  // that a thread writes at least

const ResizeLoops& loopsOf(IsaSet isa) {
  if (isa.has(Isa::Avx512)) return resizeLoopsAvx512();
  return isa.has(Isa::Avx2) ? resizeLoopsAvx2() : resizeLoopsPortable();
}

// An axis with one or two taps, in steps of `stride` floats.
struct AxisTable {
  bool two = false;
  int64_t factor = 0;  // every element `factor` times in turn; 0: no such pattern
  std::vector<int64_t> first, second;
  std::vector<float> firstWeight, secondWeight;

  AxisTable() = default;
  AxisTable(const Resize& resize, size_t axis, int64_t in, int64_t out, int64_t stride) {
    const ResizeAxis table = resizeAxis(resize, axis, in, out);
    const auto taps = static_cast<size_t>(table.taps);
    two = taps == 2;
    for (size_t i = 0; i < table.elements.size(); i += taps) {
      first.push_back(table.elements[i] * stride);
      firstWeight.push_back(static_cast<float>(table.weights[i]));
      second.push_back(table.elements[i + taps - 1] * stride);
      secondWeight.push_back(static_cast<float>(table.weights[i + taps - 1]));
    }
    if (two || in == 0 || out % in != 0) return;
    const int64_t times = out / in;
    bool repeats = true;
    for (int64_t i = 0; i < out; ++i)
      repeats = repeats && table.elements[static_cast<size_t>(i)] == i / times;
    if (repeats) factor = times;
  }

  ResizeColumns columns() const {
    return {first.data(), second.data(), firstWeight.data(), secondWeight.data(),
            static_cast<int64_t>(first.size())};
  }
};

class ResizeExecutable : public Executable {
 public:
  ResizeExecutable(const Resize& resize, const Problem& problem, bool blocked, size_t position,
                   const ConcreteShapes& shapes)
      : loops_(loopsOf(problem.device.isa)), blocked_(blocked), position_(position) {
    const std::vector<int64_t>&x = shapes.inputs[position], &y = shapes.outputs[0];
    const bool line = x.size() == 3;
    const int64_t lanes = blocked ? loops_.lanes : 1;
    const size_t last = x.size() - 1;
    inColumns_ = x[last];
    inFloats_ = inColumns_ * lanes;
    outFloats_ = y[last] * lanes;
    inLines_ = line ? 1 : x[2];
    outLines_ = line ? 1 : y[2];
    if (line) {
      lines_.first = {0};
    } else {
      lines_ = AxisTable(resize, 2, inLines_, outLines_, inFloats_);
    }
    columns_ = AxisTable(resize, last, inColumns_, y[last], lanes);
    groups_ = y[0] * ((y[1] + lanes - 1) / lanes);
    const int64_t floats = groups_ * outLines_ * outFloats_;
    parts_ = static_cast<int>(
        std::clamp<int64_t>(floats / kGrainFloats, 1, std::max(1, problem.device.threads)));
    temporaryFloats_ = lines_.two && columns_.two ? (inFloats_ + 15) / 16 * 16 : 0;
  }

  size_t workspaceBytes() const override {
    return static_cast<size_t>(parts_ * temporaryFloats_) * sizeof(float);
  }

  void run(const RunArguments& arguments) const override {
    auto* x = static_cast<const float*>(arguments.inputs[position_]);
    auto* y = static_cast<float*>(arguments.outputs[0]);
    const int64_t total = groups_ * outLines_;
    if (total * outFloats_ == 0) return;
    arguments.pool->run(parts_, [&](int part) {
      float* temporary = temporaryFloats_
                             ? static_cast<float*>(arguments.workspace) + part * temporaryFloats_
                             : nullptr;
      const int64_t begin = total * part / parts_, end = total * (part + 1) / parts_;
      const float* before = nullptr;  // what the line before came from alone
      for (int64_t i = begin; i < end; ++i) {
        const float* image = x + i / outLines_ * inLines_ * inFloats_;
        const auto line = static_cast<size_t>(i % outLines_);
        const float* from = image + lines_.first[line];
        float* to = y + i * outFloats_;
        if (lines_.two) {
          float* blended = columns_.two ? temporary : to;
          loops_.blend(from, lines_.firstWeight[line], image + lines_.second[line],
                       lines_.secondWeight[line], inFloats_, blended);
          if (columns_.two) resizeLine(blended, to);
        } else if (from == before) {
          std::memcpy(to, to - outFloats_, static_cast<size_t>(outFloats_) * sizeof(float));
        } else {
          resizeLine(from, to);
          before = from;
        }
      }
    });
  }

 private:
  void resizeLine(const float* from, float* to) const {
    if (columns_.two)
      (blocked_ ? loops_.linearBlocked : loops_.linearPlain)(from, columns_.columns(), to);
    else if (columns_.factor == 1)
      std::memcpy(to, from, static_cast<size_t>(outFloats_) * sizeof(float));
    else if (blocked_)
      loops_.nearestBlocked(from, columns_.columns(), to);
    else if (columns_.factor > 1)
      loops_.repeatPlain(from, inColumns_, columns_.factor, to);
    else
      loops_.nearestPlain(from, columns_.columns(), to);
  }

  const ResizeLoops& loops_;
  bool blocked_;
  size_t position_;
  int64_t inColumns_ = 0, inFloats_ = 0, outFloats_ = 0;  // floats of a line
  int64_t inLines_ = 1, outLines_ = 1, groups_ = 0, temporaryFloats_ = 0;
  int parts_ = 1;
  AxisTable lines_, columns_;
};

// Nearest and linear resizes of images and lines.
class ResizeFast : public OneStepKernel<Resize> {
 public:
  std::string_view name() const override { return "cpu/resize/fast"; }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const double seconds = Kernel::estimate(problem, configuration, shapes);
    const bool scalar = configuration.outputs[0].isPlain() &&
                        problem.region.steps[0].op.as<Resize>()->mode == ResizeMode::Linear;
    return scalar ? 2 * seconds : seconds;
  }

 protected:
  Support supportsStep(const Resize& op, const OneStep& step,
                       const Problem& problem) const override {
    if (!step.has(0) || step.desc(0).dtype != DType::F32) return Refusal{"resizes float32"};
    const Shape& x = step.desc(0).shape;
    if (x.rank() != 3 && x.rank() != 4)
      return Refusal{fmt::format("resizes tensors of rank 3 and 4, not {}", x.rank())};
    if (op.mode == ResizeMode::Cubic)
      return Refusal{"interpolates by nearest or linear, not cubic"};
    if (op.coordinates == ResizeCoordinates::TfCropAndResize) return Refusal{"does not crop"};
    if (op.antialias && op.mode != ResizeMode::Nearest) return Refusal{"does not antialias"};
    for (size_t axis = 0; axis < 2; ++axis)
      if (op.shape.rank() != x.rank() || op.shape[axis] != x[axis] ||
          (!op.scales.empty() && (op.scales.size() != x.rank() || op.scales[axis] != 1)))
        return Refusal{"resizes spatial axes alone"};
    const size_t count = problem.inputs.size();
    const Layout blocked = Layout::channelBlocked(problem.device.floatLanes());
    std::vector<Layout> inputs = plainLayouts(count);
    inputs[static_cast<size_t>(problem.region.steps[0].inputs[0])] = blocked;
    return std::vector<Configuration>{{{}, std::move(inputs), {blocked}},
                                      {{}, plainLayouts(count), plainLayouts(1)}};
  }

  std::unique_ptr<Executable> makeExecutable(const Resize& op, const StoredProblem& stored,
                                             const ConcreteShapes& shapes) const override {
    const size_t position = OneStep(stored.problem).position(0);
    const std::vector<int64_t>&x = shapes.inputs[position], &y = shapes.outputs[0];
    if (x[0] != y[0] || x[1] != y[1]) throwBadParameters("a resize changes batch or channels");
    const bool blocked = !stored.configuration.outputs[0].isPlain();
    return std::make_unique<ResizeExecutable>(op, stored.problem, blocked, position, shapes);
  }
};

}  // namespace

const Kernel& resizeFast() {
  static const ResizeFast kernel;
  return kernel;
}

}  // namespace carnot
