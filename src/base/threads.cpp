#include "base/threads.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/cores.h"
#include "base/error.h"
#include "base/futex.h"
#include "base/turns.h"

namespace carnot {
namespace {

constexpr size_t kCacheLine = 64;
constexpr int kMostThreads = 4096;
constexpr auto kSpin = std::chrono::microseconds(50);  // before a thread parks
constexpr uint32_t kTicketBits = 0x7FFFFFFF;
constexpr uint32_t kCallerParked = 0x80000000;

using Body = FunctionRef<void(int)>;

thread_local bool insideRegion = false;

struct RegionMark {
  bool before = std::exchange(insideRegion, true);
  ~RegionMark() { insideRegion = before; }
};

void relaxCore() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits by spinning; false when `ready` did not come true in time.
template <typename Ready>
bool spinUntil(bool allowed, Ready ready) {
  if (ready()) return true;
  if (!allowed) return false;
  auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      relaxCore();
    }
  } while (std::chrono::steady_clock::now() < end);
  return ready();
}

void pinThread(pthread_t thread, int core) {
  constexpr int kMostCores = 1 << 14;
  if (core >= kMostCores) return;
  // On the stack, since regions allocate nothing.
  std::array<cpu_set_t, kMostCores / CPU_SETSIZE> storage = {};
  cpu_set_t* set = storage.data();
  size_t bytes = CPU_ALLOC_SIZE(core + 1);
  CPU_SET_S(core, bytes, set);
  ::pthread_setaffinity_np(thread, bytes, set);  // a hint: failure costs speed alone
}

}  // namespace

// A region's orders go to each worker on a cache line of its own, and come back on another.
struct ThreadPool::State {
  struct Worker {
    // Written by the caller.
    alignas(kCacheLine) std::atomic<uint32_t> ticket{0};  // changes with each order
    bool stop = false;
    int parts = 0;
    int active = 0;
    std::optional<Body> body;
    // Written by the worker.
    alignas(kCacheLine) std::atomic<uint32_t> done{0};  // the last ticket carried out
    std::atomic<bool> parked{false};
    // Constant while it runs.
    alignas(kCacheLine) State* pool = nullptr;
    int index = 0;
    int core = -1;  // pinned to; -1 for none
    pthread_t thread{};
  };

  explicit State(int threads);
  ~State();

  void start();
  void stop(size_t running);
  void forgetWorkers();  // in a forked child, where they do not exist
  static void* workerMain(void* argument);
  void work(Worker& worker);
  void runParts(Body body, int first, int parts, int active);
  void order(Worker& worker);
  void awaitDone(Worker& worker);
  void makeRoomForCaller();
  void region(int parts, Body body);
  void awaitOthers(int parts);

  const int threads;
  const bool spins;
  const std::vector<int> cores;  // to pin to, the caller's first; empty when not pinned
  int callerCore = -1;
  const std::unique_ptr<Worker[]> storage;
  const std::span<Worker> workers;  // threads - 1
  bool started = false;
  Turns turns;

  alignas(kCacheLine) std::atomic<int> nextPart{0};
  // Of a region in steps.
  alignas(kCacheLine) std::atomic<int> arrived{0};
  alignas(kCacheLine) std::atomic<uint32_t> stepsEnded{0};
  std::atomic<uint32_t> parkedParts{0};
  alignas(kCacheLine) std::atomic<uint32_t> parkedWorkers{0};
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
};

namespace {

// Every pool alive, for the handler of fork.
struct Registry {
  std::mutex mutex;
  std::vector<void*> pools;
  std::map<int, std::shared_ptr<ThreadPool>> shared;
};

Registry& registry() {
  static auto* instance = new Registry;  // outlives every static that may hold a pool
  return *instance;
}

// Pinned only if the pool takes all the cores there are: two pools of half the cores, of one
// process or two, would else be pinned onto each other.
std::vector<int> coresToPin(int threads) {
  std::vector<int> cores = allowedCores();
  if (threads == 1 || static_cast<int>(cores.size()) != threads) cores.clear();
  return cores;
}

}  // namespace

ThreadPool::State::State(int count)
    : threads(count),
      spins(count <= availableCores()),
      cores(coresToPin(count)),
      storage(new Worker[static_cast<size_t>(count - 1)]),
      workers(storage.get(), static_cast<size_t>(count - 1)) {
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].pool = this;
    workers[i].index = static_cast<int>(i) + 1;
  }
  start();
  static const int handlers =
      ::pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
                       [] {
                         for (void* pool : registry().pools)
                           static_cast<State*>(pool)->forgetWorkers();
                         registry().mutex.unlock();
                       });
  (void)handlers;
  std::lock_guard hold(registry().mutex);
  registry().pools.push_back(this);
}

ThreadPool::State::~State() {
  {
    std::lock_guard hold(registry().mutex);
    std::erase(registry().pools, this);
  }
  stop(workers.size());
}

void ThreadPool::State::start() {
  // Signals are for the program's own threads: Ctrl-C must not land in a worker. Faults are its
  // own.
  sigset_t all, before;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, fault);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int failedWith = 0;
  size_t running = 0;
  for (; running < workers.size(); ++running) {
    Worker& worker = workers[running];
    worker.stop = false;
    worker.ticket.store(0, std::memory_order_relaxed);
    worker.done.store(0, std::memory_order_relaxed);
    failedWith = ::pthread_create(&worker.thread, nullptr, workerMain, &worker);
    if (failedWith != 0) break;
    if (!cores.empty()) pinThread(worker.thread, worker.core = cores[running + 1]);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started = true;
  callerCore = cores.empty() ? -1 : cores[0];
  if (failedWith == 0) return;
  stop(running);
  throw Error(ErrorCode::OutOfMemory,
              fmt::format("the system gave {} of {} threads", running + 1, threads), {},
              "use fewer threads (CARNOT_THREADS)");
}

void ThreadPool::State::stop(size_t running) {
  if (!std::exchange(started, false)) return;
  for (Worker& worker : workers.first(running)) {
    worker.stop = true;
    order(worker);
    futexWake(worker.ticket);
  }
  for (Worker& worker : workers.first(running)) ::pthread_join(worker.thread, nullptr);
}

void ThreadPool::State::forgetWorkers() {
  started = false;
  new (&turns) Turns;  // its holder and waiters did not come along
  parkedWorkers.store(0, std::memory_order_relaxed);
  arrived.store(0, std::memory_order_relaxed);
  parkedParts.store(0, std::memory_order_relaxed);
  failed.store(false, std::memory_order_relaxed);
  for (Worker& worker : workers) worker.parked.store(false, std::memory_order_relaxed);
}

void* ThreadPool::State::workerMain(void* argument) {
  auto& worker = *static_cast<Worker*>(argument);
  ::pthread_setname_np(::pthread_self(), "carnot");
  insideRegion = true;
  worker.pool->work(worker);
  return nullptr;
}

void ThreadPool::State::work(Worker& worker) {
  uint32_t seen = 0;
  auto ordered = [&] { return worker.ticket.load(std::memory_order_acquire) != seen; };
  while (true) {
    while (!spinUntil(spins, ordered)) {
      // The caller stores the ticket, then adds nothing to parkedWorkers; this adds one, then looks
      // at the ticket. Of two read-modify-writes one is first, so either the worker sees the ticket
      // or the caller sees the worker parked.
      worker.parked.store(true, std::memory_order_relaxed);
      parkedWorkers.fetch_add(1, std::memory_order_acq_rel);
      while (!ordered()) futexWait(worker.ticket, seen);
      parkedWorkers.fetch_sub(1, std::memory_order_acq_rel);
      worker.parked.store(false, std::memory_order_relaxed);
    }
    seen = worker.ticket.load(std::memory_order_acquire);
    if (worker.stop) return;
    runParts(*worker.body, worker.index, worker.parts, worker.active);
    if (worker.done.exchange(seen, std::memory_order_acq_rel) & kCallerParked)
      futexWake(worker.done);
  }
}

void ThreadPool::State::runParts(Body body, int first, int parts, int active) {
  for (int part = first; part < parts;) {
    try {
      body(part);
    } catch (...) {
      if (!failed.exchange(true, std::memory_order_acq_rel)) failure = std::current_exception();
    }
    if (parts == active) return;
    part = nextPart.fetch_add(1, std::memory_order_relaxed);
  }
}

void ThreadPool::State::order(Worker& worker) {
  uint32_t ticket = (worker.ticket.load(std::memory_order_relaxed) + 1) & kTicketBits;
  worker.ticket.store(ticket, std::memory_order_release);
}

void ThreadPool::State::awaitDone(Worker& worker) {
  uint32_t ticket = worker.ticket.load(std::memory_order_relaxed);
  uint32_t before = (ticket - 1) & kTicketBits;
  auto isDone = [&] { return worker.done.load(std::memory_order_acquire) == ticket; };
  if (spinUntil(spins, isDone)) return;
  uint32_t expected = before;
  if (!worker.done.compare_exchange_strong(expected, before | kCallerParked,
                                           std::memory_order_acq_rel))
    return;
  while (!isDone()) futexWait(worker.done, before | kCallerParked);
}

// The caller is not pinned: where it runs is its owner's affair. A worker pinned to the core that
// the caller came to would queue behind it while another core idles, so that worker moves there.
void ThreadPool::State::makeRoomForCaller() {
  if (callerCore < 0) return;
  int here = ::sched_getcpu();
  if (here == callerCore) return;
  for (Worker& worker : workers) {
    if (worker.core != here) continue;
    pinThread(worker.thread, worker.core = callerCore);
    callerCore = here;
    return;
  }
}

void ThreadPool::State::region(int parts, Body body) {
  std::lock_guard turn(turns);
  if (!started) start();
  makeRoomForCaller();
  int active = std::min(parts, threads);
  nextPart.store(active, std::memory_order_relaxed);
  for (int i = 0; i < active - 1; ++i) {
    Worker& worker = workers[static_cast<size_t>(i)];
    worker.body.emplace(body);
    worker.parts = parts;
    worker.active = active;
    order(worker);
  }
  if (parkedWorkers.fetch_add(0, std::memory_order_acq_rel) != 0) {
    for (int i = 0; i < active - 1; ++i) {
      Worker& worker = workers[static_cast<size_t>(i)];
      if (worker.parked.load(std::memory_order_relaxed)) futexWake(worker.ticket);
    }
  }
  runParts(body, 0, parts, active);
  for (int i = 0; i < active - 1; ++i) awaitDone(workers[static_cast<size_t>(i)]);
  if (failed.load(std::memory_order_acquire)) {
    failed.store(false, std::memory_order_relaxed);
    std::rethrow_exception(std::exchange(failure, nullptr));
  }
}

// Returns once as many parts have called it.
void ThreadPool::State::awaitOthers(int parts) {
  const uint32_t ended = stepsEnded.load(std::memory_order_acquire);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) {
    arrived.store(0, std::memory_order_relaxed);
    stepsEnded.fetch_add(1);
    if (parkedParts.load() != 0) futexWake(stepsEnded);
    return;
  }
  auto othersCame = [&] { return stepsEnded.load(std::memory_order_acquire) != ended; };
  if (spinUntil(spins, othersCame)) return;
  parkedParts.fetch_add(1);
  while (stepsEnded.load() == ended) futexWait(stepsEnded, ended);
  parkedParts.fetch_sub(1);
}

ThreadPool::ThreadPool(int threads) {
  if (threads < 1 || threads > kMostThreads)
    throw Error(ErrorCode::InvalidArgument, fmt::format("{} threads", threads),
                fmt::format("from 1 to {}", kMostThreads));
  state_ = std::make_unique<State>(threads);
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return state_->threads; }

void ThreadPool::run(int parts, FunctionRef<void(int part)> body) {
  if (parts <= 0) return;
  bool serial = parts == 1 || state_->threads == 1 || insideRegion;
  RegionMark mark;
  if (!serial) return state_->region(parts, body);
  std::exception_ptr failure;
  for (int part = 0; part < parts; ++part) {
    try {
      body(part);
    } catch (...) {
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void ThreadPool::runSteps(int parts, int64_t steps,
                          FunctionRef<void(int part, int64_t step)> body) {
  if (parts <= 1 || parts > state_->threads || insideRegion) {
    for (int64_t step = 0; step < steps; ++step) run(parts, [&](int part) { body(part, step); });
    return;
  }
  // A part that fails waits for the others all the same.
  std::atomic<bool> stopped{false};
  run(parts, [&](int part) {
    std::exception_ptr mine;
    for (int64_t step = 0; step < steps; ++step) {
      try {
        if (!stopped.load(std::memory_order_relaxed)) body(part, step);
      } catch (...) {
        if (!stopped.exchange(true)) mine = std::current_exception();
      }
      if (step + 1 < steps) state_->awaitOthers(parts);
    }
    if (mine) std::rethrow_exception(mine);
  });
}

void ThreadPool::forRange(int64_t count, int64_t grain,
                          FunctionRef<void(int64_t begin, int64_t end)> body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  int64_t most = std::max<int64_t>(count / grain, 1);
  int64_t parts = std::min<int64_t>(threads(), most);
  int64_t each = count / parts, longer = count % parts;
  run(static_cast<int>(parts), [&](int part) {
    int64_t begin = part * each + std::min<int64_t>(part, longer);
    body(begin, begin + each + (part < longer));
  });
}

std::shared_ptr<ThreadPool> ThreadPool::shared(int threads) {
  {
    std::lock_guard hold(registry().mutex);
    auto found = registry().shared.find(threads);
    if (found != registry().shared.end()) return found->second;
  }
  auto made = std::make_shared<ThreadPool>(threads);
  std::lock_guard hold(registry().mutex);
  return registry().shared.try_emplace(threads, std::move(made)).first->second;
}

}  // namespace carnot
