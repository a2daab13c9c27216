#include "devices/cuda/driver.h"

#include <fmt/format.h>

#include "base/error.h"
#include "devices/cuda/library.h"

namespace carnot::cuda {
namespace {

Driver load() {
  static constexpr const char* kNames[] = {"libcuda.so.1"};
  static const Library library("NVIDIA's driver", kNames);
  library.require();
  Driver driver;
// Two steps, so that cuda.h's macros are replaced before the name becomes text.
#define CARNOT_TEXT(name) #name
#define CARNOT_SYMBOL(name) resolve(library, CARNOT_TEXT(name), driver.name);
#include "devices/cuda/driver.inc"
#undef CARNOT_SYMBOL
#undef CARNOT_TEXT
  auto find = [&]<typename F>(const char* name, F& function) {
    function = reinterpret_cast<F>(library.symbol(name));
  };
  find("cuFuncGetParamInfo", driver.functionParameter);
  find("cuKernelGetParamInfo", driver.kernelParameter);
  if (CUresult result = driver.cuInit(0); result != CUDA_SUCCESS) {
    const char* why = nullptr;
    driver.cuGetErrorString(result, &why);
    throw Error(ErrorCode::Unsupported,
                fmt::format("NVIDIA's driver does not start: {}", why ? why : "unknown"),
                "a GPU that the driver sees", "nvidia-smi tells what it sees");
  }
  return driver;
}

}  // namespace

Driver& driverTable() {
  static Driver driver = load();
  return driver;
}

const Driver& driver() { return driverTable(); }

void check(CUresult result, const char* what) {
  if (result == CUDA_SUCCESS) return;
  const char *name = nullptr, *why = nullptr;
  driver().cuGetErrorName(result, &name);
  driver().cuGetErrorString(result, &why);
  throw Error(
      result == CUDA_ERROR_OUT_OF_MEMORY ? ErrorCode::OutOfMemory : ErrorCode::Internal,
      fmt::format("{}: {} ({})", what, why ? why : "unknown", name ? name : "no such error"));
}

}  // namespace carnot::cuda
