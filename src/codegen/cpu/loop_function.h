#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "codegen/loop_shape.h"
#include "devices/device.h"

namespace carnot {

// What one call of a loop's function works on: `rows` rows of LoopShape's loops, or parts of them.
struct LoopArguments {
  static constexpr int kMaxOperands = 32, kMaxTemporaries = 8;
  struct Operand {
    char* data = nullptr;
    int64_t element = 0, repeat = 0, row = 0, vector = 0;  // strides in bytes
  };
  int64_t rows = 1, repeats = 1, length = 1, lanes = 1;
  void* temporaries[kMaxTemporaries] = {};
  void* scratch = nullptr;
  Operand operands[kMaxOperands];
};

// A Loop as something that runs, for one LoopShape::Variant. Immutable.
class LoopFunction {
 public:
  virtual ~LoopFunction() = default;
  virtual void run(const LoopArguments& arguments) const = 0;
  // Elements that it computes at a time along the vector axis.
  virtual int lanes() const = 0;
  virtual size_t scratchBytes() const { return 0; }
};

// The longest period that a function for this instruction set takes.
int maxLoopPeriod(const Loop& loop, IsaSet isa);
// Generated code where the instruction set and the operations allow it, else an interpreter.
std::shared_ptr<const LoopFunction> makeLoopFunction(const Loop& loop,
                                                     const LoopShape::Variant& variant, IsaSet isa);
// Why no function can be made; nullopt when one can.
std::optional<std::string> refuseLoop(const Loop& loop);

}  // namespace carnot
