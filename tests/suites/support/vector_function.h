#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/tensor.h"
#include "codegen/cpu/machine_code.h"
#include "devices/device.h"
#include "ops/scalar.h"

namespace carnot::test {

// A ScalarProgram as a generated loop over dense arrays, the smallest use of ScalarEmitter: full
// vectors, then a partial one.
class VectorFunction {
 public:
  // `vectors` limits the vector registers that the program gets (0: all of them).
  VectorFunction(const ScalarProgram& program, IsaSet isa, int vectors = 0);
  // Element i of each output from element i of each input.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs,
           int64_t count) const;

 private:
  std::shared_ptr<const MachineCode> code_;
  int inputs_ = 0;  // those that the program reads
};

}  // namespace carnot::test
