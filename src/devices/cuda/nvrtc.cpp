#include "devices/cuda/nvrtc.h"

#include <fmt/format.h>

#include "devices/cuda/library.h"

namespace carnot::cuda {
namespace {

Nvrtc load() {
  static constexpr const char* kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
  static const Library library("NVRTC", kNames);
  library.require();
  Nvrtc table;
  resolve(library, "nvrtcGetErrorString", table.getErrorString);
  resolve(library, "nvrtcVersion", table.version);
  resolve(library, "nvrtcCreateProgram", table.createProgram);
  resolve(library, "nvrtcCompileProgram", table.compileProgram);
  resolve(library, "nvrtcGetProgramLogSize", table.getProgramLogSize);
  resolve(library, "nvrtcGetProgramLog", table.getProgramLog);
  resolve(library, "nvrtcGetCUBINSize", table.getCubinSize);
  resolve(library, "nvrtcGetCUBIN", table.getCubin);
  resolve(library, "nvrtcDestroyProgram", table.destroyProgram);
  return table;
}

}  // namespace

const Nvrtc& nvrtc() {
  static const Nvrtc table = load();
  return table;
}

void startNvrtc() {
  static const bool started = [] {
    const Nvrtc& compiler = nvrtc();
    Nvrtc::Program program = nullptr;
    const char* source =
        "extern \"C\" __global__ void carnotFirst(float* x) { x[threadIdx.x] += 1; }";
    if (compiler.createProgram(&program, source, "first.cu", 0, nullptr, nullptr) != 0)
      return false;
    const char* target = "--gpu-architecture=sm_90";
    const bool compiled = compiler.compileProgram(program, 1, &target) == 0;
    compiler.destroyProgram(&program);
    return compiled;
  }();
  static_cast<void>(started);  // what fails here fails again where it matters
}

std::string nvrtcVersion() {
  int major = 0, minor = 0;
  nvrtc().version(&major, &minor);
  return fmt::format("{}.{}", major, minor);
}

}  // namespace carnot::cuda
