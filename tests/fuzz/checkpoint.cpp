// Any bytes as a checkpoint, the configuration up to the first zero byte and the weights' file
// behind it: it becomes a network, or is refused with an Error.
#include <carnot/error.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "llm/models/llama.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const uint8_t* end = std::find(data, data + size, uint8_t{0});
  const std::string text(data, end);
  const uint8_t* weights = end == data + size ? end : end + 1;
  const int file = memfd_create("weights", 0);
  const auto bytes = static_cast<size_t>(data + size - weights);
  if (file < 0 || write(file, weights, bytes) != static_cast<ssize_t>(bytes)) std::abort();
  try {
    const auto tensors = carnot::Safetensors::openFile("/proc/self/fd/" + std::to_string(file));
    carnot::llamaGraph(carnot::parseLlamaConfig(text), tensors, {});
  } catch (const carnot::Error& error) {
    if (error.code() == carnot::ErrorCode::Internal) __builtin_trap();
  }
  close(file);
  return 0;
}
