#include "base/turns.h"

#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/futex.h"

namespace carnot {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::milliseconds(1);

enum : uint32_t { kWaiting, kTryAgain, kGranted };

}  // namespace

struct Turns::Waiter {
  std::atomic<uint32_t> state{kWaiting};
  Clock::time_point since = Clock::now();
  Waiter* next = nullptr;
};

void Turns::append(Waiter& waiter) {
  (last_ ? last_->next : first_) = &waiter;
  last_ = &waiter;
}

void Turns::removeFirst() {
  first_ = first_->next;
  if (!first_) last_ = nullptr;
}

void Turns::lock() {
  std::unique_lock hold(mutex_);
  if (!taken_) {
    taken_ = true;
    return;
  }
  Waiter self;
  append(self);
  while (true) {
    hold.unlock();
    while (self.state.load(std::memory_order_acquire) == kWaiting) futexWait(self.state, kWaiting);
    hold.lock();
    // A grant may also come after the word to try again.
    if (self.state.load(std::memory_order_relaxed) == kGranted) return;
    if (!taken_) break;
    self.state.store(kWaiting, std::memory_order_relaxed);
  }
  taken_ = true;
  removeFirst();  // only the first is told to try again
}

void Turns::unlock() {
  std::unique_lock hold(mutex_);
  Waiter* next = first_;
  bool handOver = next && Clock::now() - next->since >= kPatience;
  if (handOver)
    removeFirst();
  else
    taken_ = false;
  if (!next) return;
  next->state.store(handOver ? kGranted : kTryAgain, std::memory_order_release);
  hold.unlock();
  futexWake(next->state);  // the waiter may be gone by now: then this wakes nobody, which is fine
}

}  // namespace carnot
