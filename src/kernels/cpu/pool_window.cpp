#include <fmt/core.h>

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/conv_problem.h"
#include "kernels/cpu/pool_loops.h"
#include "ops/average_pool.h"
#include "ops/max_pool.h"
#include "ops/reduce.h"

namespace carnot {
namespace {

struct PoolProblem {
  bool maximum = false, mean = true, countIncludePad = false;
  bool all = false;  // over every pixel
  bool keepDims = true;
  bool line = false;  // one spatial axis
  WindowAxis height, width;
};

const PoolLoops& loopsOf(IsaSet isa) {
  if (isa.has(Isa::Avx512)) return poolLoopsAvx512();
  return isa.has(Isa::Avx2) ? poolLoopsAvx2() : poolLoopsPortable();
}

std::variant<Refusal, PoolProblem> analyze(const Problem& problem) {
  const Region& region = problem.region;
  if (region.steps.size() != 1 || region.outputs.size() != 1)
    return Refusal{fmt::format("carries out one pool, not {}", region.label())};
  const Region::Step& step = region.steps[0];
  if (step.outputCount != 1) return Refusal{"gives no indices"};
  if (problem.inputs.size() != 1 || problem.inputs[0].dtype != DType::F32)
    return Refusal{"pools one float32 tensor"};
  const size_t rank = problem.inputs[0].shape.rank();
  if (rank != 3 && rank != 4)
    return Refusal{fmt::format("pools tensors of rank 3 and 4, not {}", rank)};
  PoolProblem out;
  out.line = rank == 3;
  auto setAxes = [&](const auto& pool) {
    auto axis = [&](size_t i) {
      return WindowAxis{pool.kernel[i], pool.strides[i], pool.dilations[i], pool.pads[i],
                        pool.pads[rank - 2 + i]};
    };
    if (!out.line) out.height = axis(0);
    out.width = axis(rank - 3);
  };
  if (const MaxPool* pool = step.op.as<MaxPool>()) {
    out.maximum = true;
    setAxes(*pool);
  } else if (const AveragePool* pool = step.op.as<AveragePool>()) {
    out.countIncludePad = pool->countIncludePad;
    setAxes(*pool);
  } else if (const Reduce* reduce = step.op.as<Reduce>()) {
    out.all = true;
    out.keepDims = reduce->keepDims;
    out.maximum = reduce->kind == ReduceKind::Max;
    out.mean = reduce->kind == ReduceKind::Mean;
    if (!out.maximum && !out.mean && reduce->kind != ReduceKind::Sum)
      return Refusal{fmt::format("does not reduce by {}", reduceKindName(reduce->kind))};
    if (reduce->axes != (out.line ? std::vector<int64_t>{2} : std::vector<int64_t>{2, 3}))
      return Refusal{"reduces over all spatial axes"};
  } else {
    return Refusal{fmt::format("carries out pools, not {}", region.label())};
  }
  return out;
}

std::vector<AxisTaps> tapsOf(const WindowAxis& axis, int64_t in, int64_t out,
                             const PoolProblem& pool) {
  std::vector<AxisTaps> all(static_cast<size_t>(out));
  for (int64_t i = 0; i < out; ++i) {
    const int64_t start = i * axis.stride - axis.padBegin;
    int64_t first = 0, last = 0, counted = 0;
    for (int64_t tap = 0; tap < axis.kernel; ++tap) {
      const int64_t element = start + tap * axis.dilation;
      if (element < 0) first = tap + 1;
      if (element < in) last = tap + 1;
      counted += element < in + axis.padEnd;
    }
    const int64_t inside = std::max<int64_t>(0, last - first);
    if (!pool.countIncludePad) counted = inside;
    all[static_cast<size_t>(i)] = {static_cast<int32_t>(inside ? start + first * axis.dilation : 0),
                                   static_cast<int32_t>(inside),
                                   counted ? 1.0f / static_cast<float>(counted) : 0.0f};
  }
  return all;
}

class PoolExecutable : public Executable {
 public:
  PoolExecutable(const Problem& problem, const PoolProblem& pool, bool blocked, bool blockedOut,
                 const ConcreteShapes& shapes)
      : pool_(pool),
        loops_(loopsOf(problem.device.isa)),
        blocked_(blocked),
        blockedOut_(blockedOut) {
    const std::vector<int64_t>& in = shapes.inputs[0];
    channels_ = in[1];
    groups_ = in[0] * (blocked ? (channels_ + loops_.lanes - 1) / loops_.lanes : channels_);
    inWidth_ = in.back();
    inHeight_ = pool.line ? 1 : in[2];
    parts_ = std::max(1, problem.device.threads);
    if (pool.all) return;
    const std::vector<int64_t>& out = shapes.outputs[0];
    outWidth_ = out.back();
    lines_ = tapsOf(pool.height, inHeight_, pool.line ? 1 : out[2], pool);
    columns_ = tapsOf(pool.width, inWidth_, outWidth_, pool);
  }

  size_t workspaceBytes() const override {
    return blocked_ ? 0 : static_cast<size_t>(parts_ * inWidth_) * sizeof(float);
  }

  void run(const RunArguments& arguments) const override {
    auto* x = static_cast<const float*>(arguments.inputs[0]);
    auto* y = static_cast<float*>(arguments.outputs[0]);
    if (pool_.all) return runAll(x, y, *arguments.pool);
    const int64_t lines = static_cast<int64_t>(lines_.size()), total = groups_ * lines;
    const int64_t lanes = blocked_ ? loops_.lanes : 1;
    auto* loop = pool_.maximum ? (blocked_ ? loops_.maxBlocked : loops_.maxPlain)
                               : (blocked_ ? loops_.averageBlocked : loops_.averagePlain);
    auto runPart = [&](int part) {
      PoolLine line{.x = nullptr,
                    .xLine = inWidth_ * lanes,
                    .lines = {},
                    .lineStep = pool_.height.dilation,
                    .columns = columns_.data(),
                    .columnCount = outWidth_,
                    .columnStep = pool_.width.dilation,
                    .inColumns = inWidth_,
                    .y = nullptr,
                    .temporary = static_cast<float*>(arguments.workspace) + part * inWidth_};
      for (int64_t i = total * part / parts_; i < total * (part + 1) / parts_; ++i) {
        line.x = x + i / lines * inHeight_ * line.xLine;
        line.y = y + i * outWidth_ * lanes;
        line.lines = lines_[static_cast<size_t>(i % lines)];
        loop(line);
      }
    };
    arguments.pool->run(parts_, runPart);
  }

 private:
  void runAll(const float* x, float* y, ThreadPool& threads) const {
    const int64_t pixels = inHeight_ * inWidth_, lanes = loops_.lanes;
    const int64_t blocks = (channels_ + lanes - 1) / lanes;
    const float scale = pool_.mean ? 1.0f / static_cast<float>(pixels) : 1.0f;
    threads.run(parts_, [&](int part) {
      for (int64_t i = groups_ * part / parts_; i < groups_ * (part + 1) / parts_; ++i) {
        alignas(64) float result[16];
        if (pool_.maximum)
          loops_.maxAll(x + i * pixels * lanes, pixels, result);
        else
          loops_.sumAll(x + i * pixels * lanes, pixels, scale, result);
        const int64_t first = i % blocks * lanes;
        if (blockedOut_)
          std::copy(result, result + lanes, y + i * lanes);
        else
          std::copy(result, result + std::min(lanes, channels_ - first),
                    y + i / blocks * channels_ + first);
      }
    });
  }

  PoolProblem pool_;
  const PoolLoops& loops_;
  bool blocked_, blockedOut_;
  int64_t channels_ = 0, groups_ = 0, inHeight_ = 0, inWidth_ = 0, outWidth_ = 0;
  int parts_ = 1;
  std::vector<AxisTaps> lines_, columns_;
};

class BoundPool : public BoundKernel {
 public:
  explicit BoundPool(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analysis = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) throwBadParameters(refusal->reason);
    pool_ = std::get<PoolProblem>(analysis);
    const Layout blocked = Layout::channelBlocked(stored_.problem.device.floatLanes());
    const Layout in = stored_.configuration.inputs[0], out = stored_.configuration.outputs[0];
    blocked_ = in == blocked;
    blockedOut_ = out == blocked;
    const bool holds = pool_.all ? blocked_ && (blockedOut_ ? pool_.keepDims : out.isPlain())
                                 : in == out && (blocked_ || in.isPlain());
    if (!holds) throwBadParameters("the layouts are not the kernel's");
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    concreteTypes(stored_, presentInputs(stored_.problem), shapes);
    return std::make_unique<PoolExecutable>(stored_.problem, pool_, blocked_, blockedOut_, shapes);
  }

 private:
  StoredProblem stored_;
  PoolProblem pool_;
  bool blocked_ = false, blockedOut_ = false;
};

// Max and average pools, and reductions over all pixels.
class PoolWindow : public Kernel {
 public:
  std::string_view name() const override { return "cpu/pool/window"; }

  Support supports(const Problem& problem) const override {
    auto analysis = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analysis)) return *refusal;
    const PoolProblem& pool = std::get<PoolProblem>(analysis);
    const Layout blocked = Layout::channelBlocked(problem.device.floatLanes());
    std::vector<Configuration> configurations;
    auto add = [&](Layout in, Layout out) { configurations.push_back({{}, {in}, {out}}); };
    if (!pool.all || pool.keepDims) add(blocked, blocked);
    if (pool.all) add(blocked, Layout::plain());
    if (!pool.all) add(Layout::plain(), Layout::plain());
    return configurations;
  }

  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const double seconds = Kernel::estimate(problem, configuration, shapes);
    return configuration.inputs[0].isPlain() ? 2 * seconds : seconds;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundPool>(arguments);
  }
};

}  // namespace

const Kernel& poolWindow() {
  static const PoolWindow kernel;
  return kernel;
}

}  // namespace carnot
