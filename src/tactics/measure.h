#pragma once

#include <memory>
#include <string>

#include "tactics/tactics.h"

namespace carnot {

class ThreadPool;

// What the timing cache knows a problem and a candidate by, at concrete shapes.
std::string problemKey(const Problem& problem, const ConcreteShapes& shapes);
std::string candidateKey(const Candidate& candidate);

// Times one candidate at a time on this machine, with random data in the layouts it asks for.
class Timer {
 public:
  explicit Timer(const DeviceTraits& device);
  ~Timer();
  // Median seconds of a run. Stops early once the fastest run so far is above `hopeless` seconds.
  double time(const Problem& problem, const Candidate& candidate, const ConcreteShapes& shapes,
              double hopeless);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace carnot
