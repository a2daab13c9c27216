#pragma once

#include <atomic>
#include <csignal>

namespace carnot::cli {

// While it lives, the first SIGINT or SIGTERM raises a flag and the second ends the program, as
// does any after it. Signals that the caller's shell had ignored stay so. One at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  const std::atomic<bool>& flag() const;
  // What a shell reports for a program that this signal ended: 130 for SIGINT.
  static int exitStatus();

 private:
  struct sigaction oldInterrupt_, oldTerminate_;
};

}  // namespace carnot::cli
