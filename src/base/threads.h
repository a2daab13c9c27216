#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

namespace carnot {

// Non-owning reference to a callable, so that a parallel region allocates nothing.
template <typename Signature>
class FunctionRef;
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
      FunctionRef(F&& callable)  // NOLINT: implicit by design
      : object_(const_cast<void*>(static_cast<const void*>(&callable))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

// Cores that the process may use: affinity mask and cgroup quota.
int availableCores();
// CARNOT_THREADS if set (throws Error (InvalidArgument) when it is not a positive number), else
// availableCores().
int defaultThreads();

// One fixed set of workers, pinned to the allowed cores where the pool takes all of them. A region
// runs body(part) for part in [0, parts), part 0 on the caller; workers spin briefly for the next
// region, then park; with more threads than cores they park at once. Regions of concurrent callers
// take turns; a region inside a region runs serially. An exception of any part is rethrown on the
// caller after all parts ended. A forked child makes its own workers at its first region; a fork
// inside a region may only exec. Regions allocate nothing.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);  // counts the caller: 1 means no workers
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // parts <= threads() run one on each thread; more are dealt out in order.
  void run(int parts, FunctionRef<void(int part)> body);
  // Runs body(part, step) for every part and step: no part begins a step before all have ended the
  // one before. Parts up to threads() take no new region for a step.
  void runSteps(int parts, int64_t steps, FunctionRef<void(int part, int64_t step)> body);
  // Splits [0, count) into at most threads() contiguous ranges of at least `grain`.
  void forRange(int64_t count, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> body);

  // The process's pool of that size; made on first use, again in a forked child.
  static std::shared_ptr<ThreadPool> shared(int threads);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace carnot
