#include <carnot/contents.h>
#include <carnot/report.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "base/threads.h"
#include "devices/rates.h"
#include "runtime/api.h"
#include "runtime/step_names.h"

namespace carnot {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Of sorted values, by linear interpolation between ranks.
double percentileOf(const std::vector<double>& sorted, double percent) {
  double rank = percent / 100 * static_cast<double>(sorted.size() - 1);
  size_t below = static_cast<size_t>(rank);
  size_t above = std::min(below + 1, sorted.size() - 1);
  double part = rank - static_cast<double>(below);
  return sorted[below] + part * (sorted[above] - sorted[below]);
}

BenchReport::Part partOf(std::vector<double>& times) {
  std::ranges::sort(times);
  return {times.front(), percentileOf(times, 50)};
}

// A context on memory of its own.
class Bench {
 public:
  Bench(const Engine& engine, const BenchOptions& options, BenchReport& report)
      : context_(engine.createContext()), report_(report) {
    report.inputShapes = engine.typicalShapes(options.shapes);
    for (const TensorInfo& info : engine.inputs())
      context_.setInputShape(info.name, report.inputShapes[info.name]);
    for (size_t i = 0; i < engine.states().size(); ++i) {
      const TensorInfo& info = engine.states()[i];
      const Tensor& state = tensors_.emplace_back(info.dtype, report.inputShapes[info.name]);
      std::memset(state.as<void>(), 0, state.bytes());
      context_.setStateShape(info.name, state.dims());
      context_.setState(info.name, state.as<void>());
    }
    for (size_t i = 0; i < engine.inputs().size(); ++i) {
      const TensorInfo& info = engine.inputs()[i];
      tensors_.emplace_back(info.dtype, report.inputShapes[info.name]);
      fill(engine, options, tensors_.back(), i);
      context_.setInput(static_cast<int>(i), tensors_.back().data());
    }
    for (size_t i = 0; i < engine.outputs().size(); ++i) {
      const TensorInfo& info = engine.outputs()[i];
      if (info.dependsOnData) {
        context_.setOutputAllocator(
            static_cast<int>(i),
            [this, &info, memory = Tensor()](size_t, std::span<const int64_t> dims) mutable {
              std::vector<int64_t>& shape = report_.outputShapes[info.name];
              shape.assign(dims.begin(), dims.end());
              if (memory.empty() || memory.dims() != shape) memory = Tensor(info.dtype, shape);
              return memory.as<void>();
            });
        continue;
      }
      auto dims = context_.outputShape(static_cast<int>(i));
      std::vector<int64_t>& shape = report.outputShapes[info.name] = {dims.begin(), dims.end()};
      tensors_.emplace_back(info.dtype, shape);
      context_.setOutput(static_cast<int>(i), tensors_.back().as<void>());
    }
  }

  void measure(const BenchOptions& options) {
    Clock::time_point start = Clock::now();
    do {
      context_.run();
    } while (millisecondsSince(start) < options.warmUpSeconds * 1000);
    std::vector<double> times, copyIn, compute, copyOut;
    start = Clock::now();
    while (static_cast<int>(times.size()) < std::max(options.iterations, 1) ||
           millisecondsSince(start) < options.seconds * 1000) {
      Clock::time_point begin = Clock::now();
      const Context::Parts parts = context_.runParts();
      times.push_back(millisecondsSince(begin));
      copyIn.push_back(parts.copyIn);
      compute.push_back(parts.compute);
      copyOut.push_back(parts.copyOut);
    }
    double all = millisecondsSince(start);
    report_.iterations = static_cast<int>(times.size());
    report_.throughput = static_cast<double>(times.size()) / all * 1000;
    report_.mean = std::accumulate(times.begin(), times.end(), 0.0) / times.size();
    std::ranges::sort(times);
    report_.minimum = times.front();
    report_.maximum = times.back();
    report_.median = percentileOf(times, 50);
    for (double percent : options.percentiles)
      report_.percentiles.push_back({percent, percentileOf(times, percent)});
    report_.copyIn = partOf(copyIn);
    report_.compute = partOf(compute);
    report_.copyOut = partOf(copyOut);
    report_.memory = context_.memory();
  }

  Context& context() { return context_; }

 private:
  static void fill(const Engine& engine, const BenchOptions& options, const Tensor& tensor,
                   size_t index) {
    const TensorInfo& info = engine.inputs()[index];
    const std::span contents(tensor.as<std::byte>(), tensor.bytes());
    if (options.fill && options.fill(info, tensor.dims(), contents)) return;
    if (!engine.states().empty() && isInteger(info.dtype))
      throw Error(
          ErrorCode::InvalidArgument,
          fmt::format("no contents for input {}, beside states that it must agree with", info.name),
          "a file of each input of integers", "name it in --loadInputs");
    fillMadeUp(info.dtype, tensor.count(), tensor.as<void>(), static_cast<uint32_t>(index));
  }

  Context context_;
  BenchReport& report_;
  std::vector<Tensor> tensors_;
};

void checkOptions(const BenchOptions& options) {
  for (double percent : options.percentiles)
    if (!(percent >= 0 && percent <= 100))
      throw Error(ErrorCode::InvalidArgument, fmt::format("percentile {}", percent), "0 to 100");
}

void markBounds(std::vector<LayerReport>& layers, const MachineRates& rates) {
  for (LayerReport& layer : layers)
    layer.computeBound = layer.intensity > rates.flops / rates.bytes;
}

MachineRates ratesFor(const Engine& engine) {
  return measureRates(*ThreadPool::shared(engine.state().loaded->threads()), hostIsa());
}

std::vector<LayerReport> timeLayers(Context& context, int runs) {
  const EngineData& data = context.engine().state().loaded->engine();
  ExecutionContext& execution = *context.state().context;
  std::vector<std::vector<double>> times(data.steps.size());
  std::vector<StepTime> run;
  for (int i = 0; i < std::max(runs, 1); ++i) {
    execution.runProfiled(run);
    for (const StepTime& step : run) times[step.step].push_back(step.milliseconds);
  }
  std::span<const int> variants = execution.chosenVariants();
  std::vector<LayerReport> layers;
  double sum = 0;
  for (size_t i = 0; i < data.steps.size(); ++i) {
    const EngineStep& step = data.steps[i];
    LayerReport& layer = layers.emplace_back();
    layer.name = step.name;
    layer.operators = operatorsOf(step);
    layer.kernel = kernelOf(step, variants[i]);
    layer.precision = dtypeName(step.precision);
    layer.origins = step.origins;
    std::ranges::sort(times[i]);
    layer.milliseconds = percentileOf(times[i], 50);
    StepCost cost = execution.stepCost(static_cast<int>(i));
    layer.flops = cost.flops;
    layer.bytes = cost.bytes;
    layer.intensity = cost.bytes > 0 ? cost.flops / cost.bytes : 0;
    sum += layer.milliseconds;
  }
  for (LayerReport& layer : layers) layer.share = sum > 0 ? layer.milliseconds / sum : 0;
  return layers;
}

}  // namespace

std::vector<LayerReport> profileLayers(Context& context, int runs) {
  std::vector<LayerReport> layers = timeLayers(context, runs);
  markBounds(layers, ratesFor(context.engine()));
  return layers;
}

BenchReport bench(const Engine& engine, const BenchOptions& options) {
  checkOptions(options);
  BenchReport report;
  EngineInfo info = engine.info();
  report.threads = info.threads;
  report.weightBytes = info.weightBytes;
  Bench bench(engine, options, report);
  bench.measure(options);
  if (options.profileRuns > 0) {
    MachineRates rates = ratesFor(engine);
    report.peakFlops = rates.flops;
    report.peakBytes = rates.bytes;
    report.layers = timeLayers(bench.context(), options.profileRuns);
    markBounds(report.layers, rates);
  }
  return report;
}

}  // namespace carnot
