#include "cli/exec/inference.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>

namespace carnot::cli::exec {

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// Raised from outside, or by a thread that failed so that the others end too.
struct Halt {
  const std::atomic<bool>& interrupted;
  std::atomic<bool> failed = false;
  explicit operator bool() const { return interrupted || failed; }
};

// Short naps, so that an interrupt is heard.
void rest(double milliseconds, const Halt& halt) {
  Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(Milliseconds(milliseconds));
  constexpr std::chrono::milliseconds kNap{20};
  while (!halt && Clock::now() < end)
    std::this_thread::sleep_until(std::min<Clock::time_point>(Clock::now() + kNap, end));
}

// What may go on beside one another when copies are exposed: runs, but a copy is alone.
class Turns {
 public:
  explicit Turns(bool exposed) : exposed_(exposed) {}

  std::unique_lock<std::shared_mutex> copying() {
    return exposed_ ? std::unique_lock(mutex_) : std::unique_lock<std::shared_mutex>();
  }
  std::shared_lock<std::shared_mutex> computing() {
    return exposed_ ? std::shared_lock(mutex_) : std::shared_lock<std::shared_mutex>();
  }

 private:
  const bool exposed_;
  std::shared_mutex mutex_;
};

// The inferences of some streams on one thread.
class Driver {
 public:
  Driver(std::span<Bindings> streams, const InferenceFlags& flags, Halt& halt, Turns& turns,
         LayerTimes* layers, Clock::time_point origin)
      : streams_(streams),
        flags_(flags),
        halt_(halt),
        turns_(turns),
        layers_(layers),
        origin_(origin) {}

  void run() {
    try {
      rest(flags_.sleepMilliseconds, halt_);
      double start = now();
      while (!halt_ && now() - start < flags_.warmUpMilliseconds) {
        eachStream(nullptr);
        warmUpQueries_ += streams_.size();
      }
      start_ = now();
      warmUpMilliseconds_ = start_ - start;
      for (int done = 0; !halt_ && goesOn(done); ++done) {
        if (done > 0) rest(flags_.idleMilliseconds, halt_);
        eachStream(layers_);
      }
      end_ = now();
    } catch (...) {
      failure_ = std::current_exception();
      halt_.failed = true;
    }
  }

  void addTo(Trace& trace) const {
    if (failure_) std::rethrow_exception(failure_);
    trace.queries.insert(trace.queries.end(), queries_.begin(), queries_.end());
    trace.warmUpQueries += warmUpQueries_;
    trace.warmUpMilliseconds = std::max(trace.warmUpMilliseconds, warmUpMilliseconds_);
  }
  double start() const { return start_; }
  double end() const { return end_; }

 private:
  double now() const { return Milliseconds(Clock::now() - origin_).count(); }

  bool goesOn(int done) const {
    return flags_.forever() || done < std::max(flags_.iterations, 1) ||
           now() - start_ < flags_.durationSeconds * 1000;
  }

  // Warm-up inferences leave no trace.
  void eachStream(LayerTimes* layers) {
    bool measured = start_ >= 0;
    for (size_t i = 0; i < streams_.size(); ++i) {
      Query query = infer(streams_[i], i == 0 ? layers : nullptr);
      if (measured) queries_.push_back(query);
    }
  }

  Query infer(Bindings& bindings, LayerTimes* layers) {
    Query query;
    if (flags_.copies()) {
      auto turn = turns_.copying();
      query.startH2d = now();
      bindings.copyInputs();
      query.endH2d = now();
    }
    {
      auto turn = turns_.computing();
      query.startEnqueue = query.startCompute = now();
      double computed = 0;  // by the device's clock
      if (layers)
        timeLayers(bindings.context(), *layers);
      else
        computed = bindings.context().runParts().compute;
      query.endEnqueue = now();
      query.endCompute =
          layers ? query.endEnqueue : std::min(query.endEnqueue, query.startCompute + computed);
    }
    if (flags_.copies()) {
      auto turn = turns_.copying();
      query.startD2h = now();
      bindings.copyOutputs();
      query.endD2h = now();
    } else {
      query.startH2d = query.endH2d = query.startCompute;
      query.startD2h = query.endD2h = query.endEnqueue;
    }
    return query;
  }

  static void timeLayers(Context& context, LayerTimes& layers) {
    size_t index = 0;
    context.runTimed([&](std::string_view name, double milliseconds) {
      if (index == layers.names.size()) {
        layers.names.emplace_back(name);
        layers.times.emplace_back();
      }
      layers.times[index++].push_back(milliseconds);
    });
    ++layers.runs;
  }

  std::span<Bindings> streams_;
  const InferenceFlags& flags_;
  Halt& halt_;
  Turns& turns_;
  LayerTimes* layers_;
  Clock::time_point origin_;
  std::vector<Query> queries_;
  size_t warmUpQueries_ = 0;
  double warmUpMilliseconds_ = 0, start_ = -1, end_ = 0;
  std::exception_ptr failure_;
};

// Times relative to the first driver's start.
Trace collect(std::span<const Driver> drivers) {
  Trace trace;
  double start = drivers[0].start(), end = drivers[0].end();
  for (const Driver& driver : drivers) {
    driver.addTo(trace);
    start = std::min(start, driver.start());
    end = std::max(end, driver.end());
  }
  trace.wallMilliseconds = end - start;
  for (Query& query : trace.queries)
    for (double* time : {&query.startH2d, &query.endH2d, &query.startEnqueue, &query.endEnqueue,
                         &query.startCompute, &query.endCompute, &query.startD2h, &query.endD2h})
      *time -= start;
  std::ranges::stable_sort(trace.queries, {}, &Query::startH2d);
  return trace;
}

}  // namespace

Trace runInference(std::span<Bindings> streams, const InferenceFlags& flags,
                   const std::atomic<bool>& stop, LayerTimes* layers) {
  Clock::time_point origin = Clock::now();
  Halt halt{stop};
  Turns turns(flags.exposeDma);
  std::vector<Driver> drivers;
  if (!flags.threads) {
    drivers.emplace_back(streams, flags, halt, turns, layers, origin).run();
    return collect(drivers);
  }
  drivers.reserve(streams.size());
  for (size_t i = 0; i < streams.size(); ++i)
    drivers.emplace_back(streams.subspan(i, 1), flags, halt, turns, i == 0 ? layers : nullptr,
                         origin);
  {
    std::vector<std::jthread> threads;
    threads.reserve(drivers.size());
    for (Driver& driver : drivers) threads.emplace_back([&driver] { driver.run(); });
  }
  return collect(drivers);
}

}  // namespace carnot::cli::exec
