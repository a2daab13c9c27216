#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>

#include "base/error.h"
#include "devices/cuda/code_cache.h"
#include "devices/cuda/cuda_device.h"
#include "kernels/cudnn/descriptor.h"
#include "kernels/cudnn/tf32_rounding.h"

namespace carnot::cuda {
namespace {

using Descriptor = cudnnBackendDescriptor_t;

// Marked as deprecated in newer versions; older ones ask for it.
constexpr auto kPlanHandle = static_cast<cudnnBackendAttributeName_t>(400);

constexpr int64_t kMostProposals = 64;
constexpr int kAttempts = 3;  // of one plan's compilation
constexpr int64_t kMostWorkspace = 32 << 20;

int64_t intAttribute(Descriptor descriptor, cudnnBackendAttributeName_t name) {
  int64_t value = 0, count = 0;
  must(cudnn().getAttribute(descriptor, name, CUDNN_TYPE_INT64, 1, &count, &value),
       "asking a plan");
  return value;
}

std::vector<cudnnBackendNumericalNote_t> notesOf(Descriptor configuration) {
  CudnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  Descriptor raw = engine.get();
  int64_t count = 0;
  must(cudnn().getAttribute(configuration, CUDNN_ATTR_ENGINECFG_ENGINE,
                            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
       "asking for an engine");
  std::vector<cudnnBackendNumericalNote_t> notes(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  must(cudnn().getAttribute(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                            CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes.data()),
       "asking for an engine's notes");
  notes.resize(static_cast<size_t>(count));
  return notes;
}

}  // namespace

CudnnPlan::~CudnnPlan() {
  if (plan_) cudnn().destroyDescriptor(plan_);
}

void CudnnPlan::run(std::span<void* const> addresses, void* workspace, Stream& stream) const {
  ensure(addresses.size() == ids_.size(), "a cuDNN plan gets an address for each tensor in memory");
  std::vector<float> numbers;
  numbers.reserve(values_.size());
  std::vector<int64_t> ids = ids_;
  std::vector<void*> pointers(addresses.begin(), addresses.end());
  for (const Value& value : values_) {
    numbers.push_back(value.number);
    ids.push_back(value.id);
    pointers.push_back(&numbers.back());
  }
  auto run = [&](cudnnHandle_t handle) {
    try {
      CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
      const auto count = static_cast<int64_t>(pointers.size());
      pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
      pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
      pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
      pack.finalize("addresses");
      const std::lock_guard lock(mutex_);  // not every engine of cuDNN's may run in two threads
      must(cudnn().execute(handle, plan_, pack.get()), "running a plan");
    } catch (const CudnnRefusal& refused) {
      throwInternal(refused.why);
    }
  };
  withCudnn(run, &stream);
}

struct CudnnPlans::State {
  explicit State(const CudnnGraph& from) : graph(from), builder(graph), key(graph.key()) {
    key += fmt::format(" {} {}", cudnnVersion(), cudaTraits().model);
    for (size_t i = 0; i < graph.tensors().size(); ++i) {
      const CudnnGraph::Tensor& tensor = graph.tensors()[i];
      const auto id = static_cast<int64_t>(i) + 1;
      if (tensor.kind == CudnnGraph::Tensor::Kind::Memory) ids.push_back(id);
      if (tensor.kind == CudnnGraph::Tensor::Kind::Value) values.push_back({id, tensor.value});
    }
  }
  ~State() {
    for (Descriptor configuration : configurations) cudnn().destroyDescriptor(configuration);
  }

  void propose() {
    if (proposed) return;
    proposed = true;
    handle.use([&](cudnnHandle_t named) {
      try {
        const Descriptor built = builder.build(named);
        proposeBy(built, CUDNN_HEUR_MODE_A);
        if (configurations.empty()) proposeBy(built, CUDNN_HEUR_MODE_FALLBACK);
        if (configurations.empty()) refusal = "cuDNN proposes no way that suits";
      } catch (const CudnnRefusal& refused) {
        refusal = refused.why;
      }
    });
  }

  // Appends what a heuristic proposes.
  void proposeBy(Descriptor built, cudnnBackendHeurMode_t mode) {
    CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, built);
    heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (cudnn().finalize(heuristic.get()) != CUDNN_STATUS_SUCCESS) return;
    int64_t count = 0;
    must(cudnn().getAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                              CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
         "counting proposals");
    count = std::min(count, kMostProposals);
    std::vector<Descriptor> results;
    for (int64_t i = 0; i < count; ++i)
      results.push_back(CudnnDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).release());
    const cudnnStatus_t status =
        cudnn().getAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                             CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count, results.data());
    for (size_t i = 0; i < results.size(); ++i)
      if (status == CUDNN_STATUS_SUCCESS && i < static_cast<size_t>(count) && suits(results[i]))
        configurations.push_back(results[i]);
      else
        cudnn().destroyDescriptor(results[i]);
  }

  bool suits(Descriptor configuration) const {
    try {
      for (cudnnBackendNumericalNote_t note : notesOf(configuration)) {
        if (note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
            note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
            note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
            note == CUDNN_NUMERICAL_NOTE_FFT || note == CUDNN_NUMERICAL_NOTE_WINOGRAD)
          return false;
        if (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && graph.fullPrecision()) return false;
      }
      return true;
    } catch (const CudnnRefusal&) {
      return false;
    }
  }

  std::shared_ptr<CudnnPlan> finished(CudnnDescriptor& filled) const {
    filled.finalize("plan");
    const int64_t bytes = intAttribute(filled.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
    if (bytes > kMostWorkspace) throw CudnnRefusal{"a plan asks for too much workspace"};
    std::shared_ptr<CudnnPlan> plan(new CudnnPlan);
    plan->plan_ = filled.release();
    plan->workspaceBytes_ = static_cast<size_t>(bytes);
    plan->ids_ = ids;
    plan->values_ = values;
    return plan;
  }

  std::shared_ptr<CudnnPlan> prepared(cudnnHandle_t named, Descriptor configuration) const {
    CudnnDescriptor filled(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    filled.set(kPlanHandle, CUDNN_TYPE_HANDLE, 1, &named);
    filled.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
    return finished(filled);
  }

  std::shared_ptr<CudnnPlan> loaded(cudnnHandle_t named, const std::vector<char>& text) const {
    CudnnDescriptor filled(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    filled.set(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
               static_cast<int64_t>(text.size()), text.data());
    filled.set(kPlanHandle, CUDNN_TYPE_HANDLE, 1, &named);
    return finished(filled);
  }

  static std::vector<char> textOf(Descriptor plan) {
    int64_t size = 0;
    const auto name = CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION;
    if (cudnn().getAttribute(plan, name, CUDNN_TYPE_CHAR, 0, &size, nullptr) !=
        CUDNN_STATUS_SUCCESS)
      return {};
    std::vector<char> text(static_cast<size_t>(size));
    if (cudnn().getAttribute(plan, name, CUDNN_TYPE_CHAR, size, &size, text.data()) !=
        CUDNN_STATUS_SUCCESS)
      return {};
    return text;
  }

  std::shared_ptr<const CudnnPlan> plan(size_t choice) {
    std::shared_ptr<CudnnPlan> plan;
    if (graph.mayRound() && !anyRounds())
      throw Error(ErrorCode::Unsupported,
                  "cuDNN's ways drop the bits that TF32 lacks, or do not run",
                  "operands that are TF32 already, or full products");
    const std::vector<char> text =
        cachedCode(fmt::format("{} choice {}", key, choice), "plan", [&]() -> std::vector<char> {
          plan = firstPreparedFrom(choice);
          std::vector<char> text;
          handle.use([&](cudnnHandle_t) { text = textOf(plan->plan_); });
          return text;
        });
    if (plan) return plan;
    handle.use([&](cudnnHandle_t named) {
      try {
        plan = loaded(named, text);
      } catch (const CudnnRefusal&) {
        plan = nullptr;
      }
    });
    return plan ? plan : firstPreparedFrom(choice);
  }

  std::shared_ptr<CudnnPlan> firstPreparedFrom(size_t choice) {
    {
      const std::lock_guard lock(mutex);
      propose();
    }
    std::string why = refusal;
    std::shared_ptr<CudnnPlan> plan;
    const size_t count = configurations.size();
    if (graph.mayRound()) plan = roundingPlan(choice);
    for (size_t i = 0; i < count && !plan && !graph.mayRound(); ++i)
      plan = prepare((choice + i) % count, &why);
    if (!plan) throw Error(ErrorCode::Unsupported, why, "another kernel for these shapes");
    return plan;
  }

  // The plan of a proposal; null when cuDNN cannot prepare it.
  std::shared_ptr<CudnnPlan> prepare(size_t proposal, std::string* why = nullptr) const {
    std::shared_ptr<CudnnPlan> plan;
    handle.use([&](cudnnHandle_t named) {
      // Where several processes compile at once, one and the same plan fails and then does not.
      for (int attempt = 0; attempt < kAttempts && !plan; ++attempt) {
        try {
          plan = prepared(named, configurations[proposal]);
        } catch (const CudnnRefusal& refused) {
          if (why) *why = refused.why;
          if (!refused.compiling) return;
        }
      }
    });
    return plan;
  }

  // The choice-th of those that round, or the last; null when none does.
  std::shared_ptr<CudnnPlan> roundingPlan(size_t choice) {
    const std::lock_guard lock(trying);
    for (; rounding.size() <= choice && tried < configurations.size(); ++tried)
      if (auto plan = prepare(tried); plan && rounds(graph, *plan))
        rounding.push_back(std::move(plan));
    return rounding.empty() ? nullptr : rounding[std::min(choice, rounding.size() - 1)];
  }

  bool anyRounds() {
    const std::vector<char> verdict = cachedCode(
        key + " rounds", "verdict", [&] { return std::vector<char>{roundingPlan(0) ? 'y' : 'n'}; });
    return verdict == std::vector<char>{'y'};
  }

  const CudnnGraph graph;
  CudnnHandle& handle = CudnnHandle::next();  // all descriptors name it
  CudnnBuilder builder;
  std::string key, refusal;
  std::vector<int64_t> ids;
  std::vector<CudnnPlan::Value> values;
  std::mutex mutex;
  bool proposed = false;  // with what follows, written under the mutex once
  std::vector<Descriptor> configurations;
  std::mutex trying;
  std::vector<std::shared_ptr<CudnnPlan>> rounding;  // of the proposals tried; under `trying`
  size_t tried = 0;
  std::map<size_t, std::weak_ptr<const CudnnPlan>> plans;
};

CudnnPlans::CudnnPlans(const CudnnGraph& graph) : state_(std::make_unique<State>(graph)) {}

CudnnPlans::~CudnnPlans() = default;

std::shared_ptr<const CudnnPlans> CudnnPlans::of(const CudnnGraph& graph) {
  cudnn();
  static std::mutex mutex;
  static auto* known = new std::map<std::string, std::shared_ptr<const CudnnPlans>>;
  const std::lock_guard lock(mutex);
  std::shared_ptr<const CudnnPlans>& entry = (*known)[graph.key()];
  if (!entry) entry.reset(new CudnnPlans(graph));
  return entry;
}

// cuDNN does not give back all memory of a plan that is destroyed: those used last are kept.
static void keepAlive(std::shared_ptr<const CudnnPlan> plan) {
  constexpr size_t kMostKept = 1024;
  static std::mutex mutex;
  static auto* kept = new std::deque<std::shared_ptr<const CudnnPlan>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(plan));
  if (kept->size() > kMostKept) kept->pop_front();
}

size_t CudnnPlans::count() const {
  {
    const std::lock_guard lock(state_->mutex);
    state_->propose();
  }
  return state_->configurations.size();
}

std::string CudnnPlans::refusal() const {
  const std::lock_guard lock(state_->mutex);
  state_->propose();
  return state_->refusal;
}

std::shared_ptr<const CudnnPlan> CudnnPlans::plan(size_t choice) const {
  {
    const std::lock_guard lock(state_->mutex);
    if (auto plan = state_->plans[choice].lock()) return plan;
  }
  std::shared_ptr<const CudnnPlan> plan = state_->plan(choice);
  keepAlive(plan);
  const std::lock_guard lock(state_->mutex);
  state_->plans[choice] = plan;
  return plan;
}

}  // namespace carnot::cuda
