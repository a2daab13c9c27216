#pragma once

#include <carnot/runtime.h>

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/exec/log.h"
#include "cli/exec/options.h"

namespace carnot::cli::exec {

// An input or output at the shapes that run, on the host and on the device.
struct Binding {
  TensorInfo info;
  std::vector<int64_t> dims;
  bool input = false;
  std::vector<std::byte> host;
  std::shared_ptr<void> device;

  int64_t count() const;
};

// A context with memory of its own, ready to run.
class Bindings {
 public:
  // Inputs are read from the files named (one '*' in a name allowed), else made up, the same for
  // every stream; `output`, if any, hears which. Throws Error: what setInputShape throws; Io and
  // InvalidArgument for files; OutOfMemory.
  Bindings(const Engine& engine, const Shapes& shapes, const InferenceFlags& flags,
           const Output* output);

  Context& context() { return context_; }
  const std::deque<Binding>& all() const { return bindings_; }
  // Contents of inputs named (one '*' allowed); the others stay. Throws as the constructor.
  void load(const std::map<std::string, std::string>& files);
  void copyInputs();   // host to device
  void copyOutputs();  // device to host

 private:
  // An output whose dims and memory a run decides.
  void find(const TensorInfo& info);
  Binding& add(const TensorInfo& info, std::vector<int64_t> dims, bool input);

  Context context_;
  std::deque<Binding> bindings_;  // which the context knows by address
};

}  // namespace carnot::cli::exec
