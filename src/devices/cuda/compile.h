#pragma once

#include <cuda.h>

#include <memory>
#include <string>
#include <vector>

namespace carnot::cuda {

// Machine code for a compute capability (90) from CUDA C++, by NVRTC. Kept in the user's cache
// folder under the hash of source, flags, NVRTC's version and architecture: "cuda/<hash>.cubin".
// Throws Error (Internal) with the compiler's words when the source does not compile.
std::vector<char> compileCuda(const std::string& source, int computeCapability);

// Code on the device.
class Module {
 public:
  explicit Module(const std::vector<char>& code);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  CUfunction function(const char* name) const;

 private:
  CUmodule module_ = nullptr;
};

// The module of a source on this process's device; equal sources share one while it is in use. May
// be called from several threads.
std::shared_ptr<const Module> moduleOf(const std::string& source);

}  // namespace carnot::cuda
