#pragma once

#include <cstddef>
#include <span>

namespace carnot::fuzz {

using Bytes = std::span<const std::byte>;

// Each makes what it can of any bytes, or refuses them with an Error that is not Internal. Whatever
// else happens is a defect.
void checkpoint(Bytes bytes);
void commandLine(Bytes bytes);
void engineFile(Bytes bytes);
void onnxBuild(Bytes bytes);
void onnxImport(Bytes bytes);
void timingCache(Bytes bytes);

struct Target {
  const char* name;  // of its program, its seeds and its folder of regressions
  void (*run)(Bytes bytes);
};
inline constexpr Target kTargets[] = {
    {"checkpoint", checkpoint}, {"command_line", commandLine}, {"engine_file", engineFile},
    {"onnx_build", onnxBuild},  {"onnx_import", onnxImport},   {"timing_cache", timingCache},
};

}  // namespace carnot::fuzz
