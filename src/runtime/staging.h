#pragma once

#include <memory>
#include <vector>

#include "devices/device.h"

namespace carnot {

// Device memory in place of the application's where kernels do not reach that.
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
  void copyIn(Stream& stream);
  void copyOut(Stream& stream);

 private:
  struct Slot {
    void* host = nullptr;  // null when kernels reach the application's memory
    size_t bytes = 0;
    bool written = false;
    std::shared_ptr<Buffer> memory;
  };
  void* place(Slot& slot, void* data, size_t bytes);

  Device& device_;
  std::vector<Slot> inputs_, outputs_;
};

}  // namespace carnot
