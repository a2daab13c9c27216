#pragma once

#include <memory>
#include <vector>

#include "devices/device.h"

namespace carnot {

// Device memory in place of the application's where kernels do not reach that. What goes between
// the two passes through memory that the host has locked, which the device reads and writes itself.
class Staging {
 public:
  Staging(Device& device, size_t inputs, size_t outputs)
      : device_(device), inputs_(inputs), outputs_(outputs) {}

  // The address that kernels get for `data`. `written`: steps change it, so copyOut brings it back.
  void* input(size_t index, void* data, size_t bytes, bool written) {
    inputs_[index].written = written;
    return place(inputs_[index], data, bytes);
  }
  void* output(size_t index, void* data, size_t bytes) {
    return place(outputs_[index], data, bytes);
  }
  // Whether any of the addresses given last is of memory that kernels do not reach.
  bool usesHost() const;
  // Around the steps, in the stream's order.
  void copyIn(Stream& stream);
  void copyOut(Stream& stream);
  // Once the stream has done so: puts what came out where the application wants it.
  void finish();

  // Milliseconds of the device for what copyIn issued, what came between, and what copyOut issued.
  struct Times {
    double in = 0, between = 0, out = 0;
  };
  // From now on runs are timed, or no longer.
  void setTimed(bool timed);
  // Of the last run, once the stream has done it.
  Times times() const;

 private:
  struct Slot {
    void* host = nullptr;  // null when kernels reach the application's memory
    size_t bytes = 0;
    bool written = false;
    std::shared_ptr<Buffer> memory, locked;
  };
  void* place(Slot& slot, void* data, size_t bytes);
  void mark(size_t point, Stream& stream) const;
  template <typename Act>
  void eachOut(Act act);

  Device& device_;
  std::vector<Slot> inputs_, outputs_;
  std::vector<std::unique_ptr<Event>> events_;  // before and after each copy; none: not timed
};

}  // namespace carnot
