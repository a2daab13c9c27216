#include "cli/interrupt.h"

namespace carnot::cli {

namespace {

// Written by a signal handler: lock-free.
std::atomic<bool> raised = false;
std::atomic<int> signalSeen = SIGINT;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void replace(int signal, struct sigaction& old) {
  struct sigaction action = {};
  action.sa_handler = [](int seen) {
    signalSeen = seen;
    raised = true;
  };
  action.sa_flags = SA_RESETHAND | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, nullptr, &old);
  if (old.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  raised = false;
  replace(SIGINT, oldInterrupt_);
  replace(SIGTERM, oldTerminate_);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &oldInterrupt_, nullptr);
  sigaction(SIGTERM, &oldTerminate_, nullptr);
}

const std::atomic<bool>& Interrupt::flag() const { return raised; }

int Interrupt::exitStatus() { return 128 + signalSeen; }

}  // namespace carnot::cli
