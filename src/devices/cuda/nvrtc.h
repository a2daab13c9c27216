#pragma once

#include <cstddef>
#include <string>

namespace carnot::cuda {

// CUDA's run-time compiler, opened at run time: libnvrtc.so. Its stable C interface, as far as
// used.
struct Nvrtc {
  using Program = struct OpaqueProgram*;
  using Result = int;  // 0 is success

  const char* (*getErrorString)(Result) = nullptr;
  Result (*version)(int* major, int* minor) = nullptr;
  Result (*createProgram)(Program*, const char* source, const char* name, int headers,
                          const char* const* texts, const char* const* names) = nullptr;
  Result (*compileProgram)(Program, int options, const char* const*) = nullptr;
  Result (*getProgramLogSize)(Program, size_t*) = nullptr;
  Result (*getProgramLog)(Program, char*) = nullptr;
  Result (*getCubinSize)(Program, size_t*) = nullptr;
  Result (*getCubin)(Program, char*) = nullptr;
  Result (*destroyProgram)(Program*) = nullptr;
};

// Throws Error (Unsupported) where there is none.
const Nvrtc& nvrtc();
// Has the compiler compile something, once in a process: threads that compile side by side as the
// first to do so have been seen to crash in it. Also for cuDNN, which compiles by it.
void startNvrtc();
std::string nvrtcVersion();  // "13.0"

}  // namespace carnot::cuda
