#include "tactics/measure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include "base/error.h"
#include "base/memory_limits.h"
#include "base/threads.h"
#include "tactics/timing_cache.h"

namespace carnot {

namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr int kMostRuns = 12;
constexpr int kFewestRuns = 3;
constexpr double kEnoughSeconds = 0.03;          // of timed runs for one candidate
constexpr double kIssuedSeconds = 1e-3;          // of runs launched together
constexpr size_t kMostCopies = 20;               // of weights that runs take turns at
constexpr size_t kHostCopyBytes = 32 << 20;      // that they come to on the host, about
constexpr size_t kFewConstantBytes = 256 << 10;  // below, as many copies stay in the cache
constexpr int64_t kMostFresh = 1 << 20;          // random elements; longer tensors repeat them
constexpr size_t kMostKept = size_t{4} << 30;    // bytes of random tensors on a device
constexpr double kFarSlower = 20;        // than the best by their estimates: not timed on a GPU
constexpr double kFinalistRatio = 1.05;  // slower than the best by less: a host times it again
constexpr double kNeverSeconds = 1e6;    // of what does not run at these shapes
constexpr double kHopelessRatio = 1.6;   // slower than the best by this much: one run suffices

// Small values of both signs: no denormals, no overflow in long sums; indices stay in range.
void fillRandom(const TensorView& view, std::mt19937& random) {
  const int64_t count = std::min(view.count(), kMostFresh);
  if (view.dtype == DType::F32) {
    auto* data = view.as<float>();
    for (int64_t i = 0; i < count; ++i)
      data[i] = static_cast<float>(random() >> 8) * (2.0f / (1 << 24)) - 1.0f;
  } else if (isFloat(view.dtype)) {
    for (int64_t i = 0; i < count; ++i)
      view.storeDouble(i, static_cast<double>(random() % 2000) / 1000.0 - 1.0);
  } else {
    std::fill_n(view.as<std::byte>(), view.bytes(), std::byte{0});
    return;
  }
  const size_t fresh = dtypeBytes(view.dtype, count);
  for (size_t at = fresh; at < view.bytes(); at += fresh)
    std::memcpy(view.as<std::byte>() + at, view.as<std::byte>(),
                std::min(fresh, view.bytes() - at));
}

// Which candidates are timed for one problem. On a GPU so many of each kernel, whose libraries
// propose ways that no cost model tells apart, without those far slower by it.
std::vector<size_t> timedCandidates(const Tactic& tactic, const TacticOptions& options) {
  constexpr size_t kAll = std::numeric_limits<size_t>::max();
  constexpr size_t kByLevel[] = {0, 1, 3, 5, 8, kAll}, kOfEachOnGpu[] = {0, 1, 3, 5, 8, kAll};
  const auto level = static_cast<size_t>(std::clamp(options.level, 0, 5));
  std::vector<size_t> timed;
  if (tactic.candidates.size() == 1) return timed;
  if (options.device.multiprocessors == 0) {
    for (size_t i = 0; i < std::min(kByLevel[level], tactic.candidates.size()); ++i)
      timed.push_back(i);
    return timed;
  }
  double best = std::numeric_limits<double>::infinity();
  for (const Candidate& candidate : tactic.candidates) best = std::min(best, candidate.estimate);
  std::map<const Kernel*, size_t> ofEach;
  for (size_t i = 0; i < tactic.candidates.size(); ++i) {
    const Candidate& candidate = tactic.candidates[i];
    if (level < 5 && candidate.estimate > kFarSlower * best) continue;
    if (ofEach[candidate.kernel]++ < kOfEachOnGpu[level]) timed.push_back(i);
  }
  return timed;
}

// Gives candidates without a measured time their estimate, in proportion to those beside them.
void scaleEstimates(Tactic& tactic, size_t point) {
  double ratio = 0;
  for (const Candidate& candidate : tactic.candidates)
    if (candidate.times[point].measured && candidate.estimate > 0 &&
        candidate.times[point].seconds < kNeverSeconds)
      ratio = std::max(ratio, candidate.times[point].seconds / candidate.estimate);
  for (Candidate& candidate : tactic.candidates)
    if (!candidate.times[point].measured)
      candidate.times[point].seconds = candidate.estimate * (ratio > 0 ? ratio : 1.0);
}

}  // namespace

std::string problemKey(const Problem& problem, const ConcreteShapes& shapes) {
  std::string key = problem.region.toString();
  for (size_t i = 0; i < problem.inputs.size(); ++i) {
    const TensorDesc& input = problem.inputs[i];
    key += !input.present ? " _"
                          : fmt::format(" {}{}[{}]", input.constant ? "const " : "",
                                        dtypeName(input.dtype), fmt::join(shapes.inputs[i], ","));
  }
  if (problem.tf32) key += " tf32";
  return problem.bf16 ? key + " bf16" : key;
}

std::string candidateKey(const Candidate& candidate) {
  return fmt::format("{}@{} {}", candidate.kernel->name(), candidate.kernel->revision(),
                     candidate.configuration.toString());
}

struct Timer::State {
  DeviceTraits traits;
  std::shared_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Event> start, end;
  std::shared_ptr<ThreadPool> pool;
  std::mt19937 random{1};
  std::map<std::tuple<DType, int64_t, int>, std::shared_ptr<Buffer>> kept;
  size_t keptBytes = 0;

  // Where kernels may read the bytes.
  std::shared_ptr<Buffer> onDevice(const Tensor& tensor) {
    if (device->sharesHostMemory()) return tensor.buffer();
    std::shared_ptr<Buffer> buffer = device->allocate(std::max<size_t>(tensor.bytes(), 64));
    device->copyToDevice(buffer->data(), tensor.data(), tensor.bytes(), *stream);
    stream->synchronize();
    return buffer;
  }
  // Random numbers where kernels may read them. A device keeps them for the next candidates.
  std::shared_ptr<Buffer> randomTensor(DType dtype, const std::vector<int64_t>& dims, int input) {
    const std::tuple key(dtype, elementCount(dims), input);
    const bool keeps = !device->sharesHostMemory();
    if (auto found = kept.find(key); keeps && found != kept.end()) return found->second;
    Tensor tensor(dtype, dims);
    fillRandom(tensor.view(), random);
    std::shared_ptr<Buffer> buffer = onDevice(tensor);
    if (!keeps) return buffer;
    if (keptBytes + tensor.bytes() > kMostKept) {
      kept.clear();
      keptBytes = 0;
    }
    keptBytes += tensor.bytes();
    return kept[key] = buffer;
  }
  // Seconds that the stream takes for what `issue` issues.
  template <typename Issue>
  double time(Issue issue) {
    start->record(*stream);
    issue();
    end->record(*stream);
    end->synchronize();
    return end->millisecondsSince(*start) / 1e3;
  }
};

Timer::Timer(const DeviceTraits& device) : state_(std::make_unique<State>()) {
  state_->traits = device;
  state_->device = openDevice(device);
  state_->stream = state_->device->createStream();
  state_->start = state_->device->createEvent();
  state_->end = state_->device->createEvent();
  state_->pool = ThreadPool::shared(device.threads);
}

Timer::~Timer() = default;

double Timer::time(const Problem& problem, const Candidate& candidate, const ConcreteShapes& shapes,
                   double hopeless) {
  state_->device->activate();
  std::vector<std::shared_ptr<Buffer>> held;
  auto place = [&](const Tensor& tensor) {
    held.push_back(state_->onDevice(tensor));
    return held.back()->data();
  };
  Prepared prepared = candidate.kernel->prepare(problem, candidate.configuration);
  ConcreteShapes runtimeShapes;
  runtimeShapes.outputs = shapes.outputs;
  runtimeShapes.symbols = shapes.symbols;
  size_t constantBytes = 0;
  for (const Tensor& weight : prepared.weights) constantBytes += weight.bytes();
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (int i : prepared.runtimeInputs) {
    runtimeShapes.inputs.push_back(shapes.inputs[i]);
    const TensorDesc& desc = problem.inputs[i];
    if (!desc.present) {
      inputs.push_back(nullptr);
    } else if (desc.constant) {
      inputs.push_back(place(*desc.constant));
      constantBytes += desc.constant->bytes();
    } else {
      held.push_back(state_->randomTensor(
          desc.dtype, physicalDims(candidate.configuration.inputs[i], shapes.inputs[i]), i));
      inputs.push_back(held.back()->data());
    }
  }
  for (size_t i = 0; i < problem.outputs.size(); ++i) {
    int64_t count = physicalCount(candidate.configuration.outputs[i], shapes.outputs[i]);
    size_t bytes = dtypeBytes(problem.outputs[i].dtype, count);
    held.push_back(state_->device->allocate(std::max<size_t>(bytes, 64)));
    outputs.push_back(held.back()->data());
  }
  for (const Update& update : problem.region.updates())
    for (size_t i = 0; i < inputs.size(); ++i)
      if (prepared.runtimeInputs[i] == static_cast<int>(update.input))
        outputs[update.output] = const_cast<void*>(inputs[i]);

  // Between two runs of a network the weights of its other layers pass through the cache, so runs
  // take turns at as many copies as outgrow it; what flows between layers stays.
  size_t copies = 1;
  if (constantBytes >= kFewConstantBytes) {
    const bool host = state_->device->sharesHostMemory();
    const size_t outgrown = host ? kHostCopyBytes : 2 * state_->traits.l2Bytes;
    copies = std::min(kMostCopies, 1 + outgrown / constantBytes);
    if (host)  // and a quarter of what is free
      copies = std::clamp<size_t>(memoryLimits().free / 4 / constantBytes, 1, copies);
  }
  std::vector<std::unique_ptr<BoundKernel>> bound;
  std::vector<std::unique_ptr<Executable>> executables;
  std::vector<std::vector<const void*>> inputsOf(copies, inputs);
  // A copy of its own for each but the first.
  auto placeCopy = [&](const Tensor& tensor, size_t copy) {
    if (copy == 0 || !state_->device->sharesHostMemory()) return place(tensor);
    Tensor own(tensor.dtype(), tensor.dims());
    std::memcpy(own.view().as<std::byte>(), tensor.data(), tensor.bytes());
    return place(own);
  };
  for (size_t copy = 0; copy < copies; ++copy) {
    BindArguments bind;
    bind.parameters = prepared.parameters;
    for (const Tensor& weight : prepared.weights)
      bind.weights.push_back({placeCopy(weight, copy), weight.dtype(), weight.dims()});
    bind.device = state_->traits;
    bound.push_back(candidate.kernel->bind(bind));
    executables.push_back(bound.back()->specialize(runtimeShapes));
    for (size_t i = 0; copy > 0 && i < inputs.size(); ++i)
      if (const Tensor* constant = problem.inputs[prepared.runtimeInputs[i]].constant)
        inputsOf[copy][i] = placeCopy(*constant, copy);
  }
  std::shared_ptr<Buffer> workspace =
      state_->device->allocate(std::max<size_t>(executables[0]->workspaceBytes(), 64));
  size_t turn = 0;
  auto run = [&] {
    const size_t copy = turn++ % copies;
    executables[copy]->run({inputsOf[copy].data(), outputs.data(), workspace->data(),
                            state_->stream.get(), state_->pool.get()});
  };
  const double first = state_->time(run);  // touches pages and caches
  for (size_t copy = 1; copy < copies && state_->device->sharesHostMemory(); ++copy) run();
  // Where issuing work may cost the host more than the work takes, only many runs, launched
  // together, show what it takes.
  int repeats = 1;
  std::unique_ptr<Recording> recording;
  if (!state_->device->sharesHostMemory() && executables[0]->recordable()) {
    repeats = static_cast<int>(std::clamp(kIssuedSeconds / first, 1.0, 20.0));
    recording = state_->device->record(*state_->stream, [&] {
      for (int i = 0; i < repeats; ++i) run();
    });
  }
  auto runAll = [&] {
    if (recording)
      recording->launch(*state_->stream);
    else
      run();
  };
  if (recording) state_->time(runAll);  // uploads it
  std::vector<double> runs;
  double total = 0;
  while (static_cast<int>(runs.size()) < kMostRuns &&
         (static_cast<int>(runs.size()) < kFewestRuns || total < kEnoughSeconds)) {
    const double seconds = state_->time(runAll);
    runs.push_back(seconds / repeats);
    total += seconds;
    if (*std::min_element(runs.begin(), runs.end()) > hopeless) break;
  }
  std::sort(runs.begin(), runs.end());
  // Whatever else runs on a host makes runs longer, never shorter.
  return runs[runs.size() / (state_->device->sharesHostMemory() ? 4 : 2)];
}

namespace {

// Executables of what will be timed, made on all of the host's threads: code that a GPU's kernels
// compile when a shape first needs it is there when they are timed. What cannot be made fails
// again, and is told, when it is timed.
class MadeAhead {
 public:
  void want(const Problem& problem, const Candidate& candidate, const ConcreteShapes& shapes) {
    const std::string key = problemKey(problem, shapes) + candidateKey(candidate);
    if (known_.insert(key).second) wanted_.push_back({problem, candidate, shapes});
  }

  void make(const DeviceTraits& traits) {
    const auto device = openDevice(traits);
    made_.resize(wanted_.size());
    std::atomic<size_t> next = 0;
    const auto pool = ThreadPool::shared(static_cast<int>(std::thread::hardware_concurrency()));
    pool->run(pool->threads(), [&](int) {
      device->activate();
      for (size_t i = next++; i < wanted_.size(); i = next++) {
        const Wanted& wanted = wanted_[i];
        try {
          const Prepared prepared =
              wanted.candidate.kernel->prepare(wanted.problem, wanted.candidate.configuration);
          BindArguments bind{prepared.parameters, {}, traits};
          for (const Tensor& weight : prepared.weights) bind.weights.push_back(weight.view());
          ConcreteShapes shapes{{}, wanted.shapes.outputs, wanted.shapes.symbols};
          for (int input : prepared.runtimeInputs)
            shapes.inputs.push_back(wanted.shapes.inputs[static_cast<size_t>(input)]);
          made_[i].bound = wanted.candidate.kernel->bind(bind);
          made_[i].executable = made_[i].bound->specialize(shapes);
        } catch (const Error&) {
        }
      }
    });
  }

 private:
  struct Wanted {
    const Problem& problem;
    const Candidate& candidate;
    ConcreteShapes shapes;
  };
  struct Made {
    std::unique_ptr<BoundKernel> bound;
    std::unique_ptr<Executable> executable;
  };
  std::set<std::string> known_;
  std::vector<Wanted> wanted_;
  std::vector<Made> made_;
};

}  // namespace

void timeCandidates(TacticMap& tactics, const Graph& graph, const TacticOptions& options) {
  Clock::time_point start = Clock::now();
  std::unique_ptr<Timer> timer;  // made when something must be timed
  TimingCache local(options.device.fingerprint());
  TimingCache& cache = options.cache ? *options.cache : local;

  std::vector<Node*> nodes;
  for (const auto& node : graph.nodes())
    if (node->region && tactics.contains(node.get())) nodes.push_back(node.get());
  MadeAhead ahead;
  if (options.device.multiprocessors > 0 && options.budgetSeconds < 0) {
    for (Node* node : nodes) {
      const Tactic& tactic = tactics.at(node);
      for (const ShapePoint& point : options.points) {
        const ConcreteShapes shapes = shapesAt(*tactic.problem, point);
        const std::string problem = problemKey(*tactic.problem, shapes);
        for (size_t i : timedCandidates(tactic, options))
          if (!cache.find(problem, candidateKey(tactic.candidates[i])))
            ahead.want(*tactic.problem, tactic.candidates[i], shapes);
      }
    }
    ahead.make(options.device);
    options.log.verbose(fmt::format("made candidates in {:.2f} s", secondsSince(start)));
  }
  size_t done = 0, timed = 0;
  bool late = false;
  const bool here = options.device.kind != "cpu" || hostIsa().contains(options.device.isa);
  for (Node* node : nodes) {
    Tactic& tactic = tactics.at(node);
    for (Candidate& candidate : tactic.candidates) candidate.times.resize(options.points.size());
    for (size_t point = 0; point < options.points.size(); ++point) {
      ConcreteShapes shapes = shapesAt(*tactic.problem, options.points[point]);
      std::string problem = problemKey(*tactic.problem, shapes);
      double best = std::numeric_limits<double>::infinity();
      std::optional<Error> tooLarge;
      std::vector<Candidate*> fresh;
      for (size_t index : timedCandidates(tactic, options)) {
        Candidate& candidate = tactic.candidates[index];
        std::string key = candidateKey(candidate);
        std::optional<double> seconds = cache.find(problem, key);
        if (!seconds) {
          if (options.cancelled && *options.cancelled)
            throw Error(ErrorCode::Interrupted,
                        "the build was cancelled while timing " + node->name);
          late =
              late || (options.budgetSeconds >= 0 && secondsSince(start) > options.budgetSeconds);
          if (late || !here) break;
          if (!timer) timer = std::make_unique<Timer>(options.device);
          try {
            seconds = timer->time(*tactic.problem, candidate, shapes, best * kHopelessRatio);
          } catch (const Error& error) {
            const bool memory = error.code() == ErrorCode::OutOfMemory;
            if (error.code() != ErrorCode::Unsupported && !memory) throw;
            if (memory) tooLarge = error;
            options.log.verbose(fmt::format("{}: {} {} does not run: {}", node->name,
                                            candidate.kernel->name(),
                                            candidate.configuration.toString(), error.has()));
            seconds = kNeverSeconds;
          }
          // There may be more memory the next time.
          if (!tooLarge || *seconds < kNeverSeconds) cache.put(problem, key, *seconds);
          ++timed;
          fresh.push_back(&candidate);
        }
        candidate.times[point] = {*seconds, true};
        best = std::min(best, *seconds);
      }
      // What else runs on a host, or its clock, may have changed between two candidates.
      std::erase_if(fresh, [&](const Candidate* candidate) {
        return candidate->times[point].seconds > best * kFinalistRatio;
      });
      if (fresh.size() < 2 || best >= kNeverSeconds || late || options.device.multiprocessors > 0)
        fresh.clear();
      for (Candidate* candidate : fresh) {
        double& seconds = candidate->times[point].seconds;
        seconds = std::min(seconds,
                           timer->time(*tactic.problem, *candidate, shapes, best * kHopelessRatio));
        cache.put(problem, candidateKey(*candidate), seconds);
      }
      if (tooLarge && best >= kNeverSeconds) throw Error(*tooLarge).within("node " + node->name);
      scaleEstimates(tactic, point);
    }
    if (options.progress) options.progress(++done, nodes.size());
  }
  if (!here)
    options.log.warning(
        fmt::format("nothing is timed, since this processor lacks instructions of {}: kernels are "
                    "chosen by the "
                    "cost model",
                    isaNames(options.device.isa)));
  if (late)
    options.log.warning(fmt::format(
        "the time budget of {} s ended the timing of kernels; the rest follow the cost model",
        options.budgetSeconds));
  options.log.verbose(fmt::format("timed {} candidates in {:.2f} s", timed, secondsSince(start)));
}

}  // namespace carnot
