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
    self.state.store(kWaiting, std::memory_order_relaxed);
    hold.unlock();
    while (self.state.load(std::memory_order_acquire) == kWaiting) futexWait(self.state, kWaiting);
    if (self.state.load(std::memory_order_acquire) == kGranted) return;  // no longer in the queue
    hold.lock();
    if (!taken_) break;
  }
  taken_ = true;
  removeFirst();  // only the first is told to try again
}

void Turns::unlock() {
  std::lock_guard hold(mutex_);
  Waiter* next = first_;
  bool handOver = next && Clock::now() - next->since >= kPatience;
  if (handOver)
    removeFirst();
  else
    taken_ = false;
  if (!next) return;
  // Once granted, the waiter may be gone before the wake: then that wakes nobody, which is fine.
  next->state.store(handOver ? kGranted : kTryAgain, std::memory_order_release);
  futexWake(next->state);
}

}  // namespace carnot
