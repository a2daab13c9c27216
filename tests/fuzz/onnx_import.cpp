// Any bytes as an ONNX model: they are imported, or refused with an Error.
#include <carnot/error.h>

#include <cstddef>
#include <cstdint>

#include "frontend/onnx/import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    carnot::importOnnx(carnot::readOnnxBytes(std::as_bytes(std::span(data, size))));
  } catch (const carnot::Error& error) {
    if (error.code() == carnot::ErrorCode::Internal) __builtin_trap();
  }
  return 0;
}
