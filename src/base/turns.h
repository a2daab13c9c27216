#pragma once

#include <mutex>

namespace carnot {

// A lock for callers that take turns. Whoever runs may take it again at once, which keeps the cores
// busy; but who has waited for a millisecond gets it handed over, so that nobody starves.
class Turns {
 public:
  void lock();
  void unlock();

 private:
  struct Waiter;
  void append(Waiter& waiter);
  void removeFirst();

  std::mutex mutex_;  // held for some instructions only
  bool taken_ = false;
  Waiter* first_ = nullptr;  // on the waiters' stacks, in order of arrival
  Waiter* last_ = nullptr;
};

}  // namespace carnot
