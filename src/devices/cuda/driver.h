#pragma once

#include <cuda.h>

namespace carnot::cuda {

// The driver's API, opened at run time: libcuda.so.1.
struct Driver {
#define CARNOT_SYMBOL(name) decltype(&::name) name = nullptr;
#include "devices/cuda/driver.inc"
#undef CARNOT_SYMBOL
  // Null in drivers before CUDA 12.4.
  decltype(&::cuFuncGetParamInfo) functionParameter = nullptr;
  decltype(&::cuKernelGetParamInfo) kernelParameter = nullptr;
};

// Initialized. Throws Error (Unsupported) where there is no driver.
const Driver& driver();

// The same, for driver_trace.cpp alone to change.
Driver& driverTable();

// Throws Error (OutOfMemory or Internal) naming `what` was done unless it succeeded.
void check(CUresult result, const char* what);

}  // namespace carnot::cuda
