// Any bytes as a checkpoint, the configuration up to the first zero byte and the weights' file
// behind it: it becomes a network.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "fuzz/targets.h"
#include "llm/models/llama.h"

void carnot::fuzz::checkpoint(Bytes bytes) {
  struct File {
    int number = memfd_create("weights", 0);
    ~File() { close(number); }
  } file;
  const auto* data = reinterpret_cast<const char*>(bytes.data());
  const char* end = std::find(data, data + bytes.size(), '\0');
  const char* weights = std::min(end + 1, data + bytes.size());
  const auto count = data + bytes.size() - weights;
  if (file.number < 0 || write(file.number, weights, count) != count) std::abort();
  const auto tensors = Safetensors::openFile("/proc/self/fd/" + std::to_string(file.number));
  llamaGraph(parseLlamaConfig(std::string(data, end)), tensors, {});
}
