#include <carnot/llm.h>
#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "builder/network.h"
#include "llm/models/llama.h"

namespace carnot {

namespace {

constexpr int64_t kMostBlockSize = 1 << 16;

void check(const CheckpointOptions& options) {
  for (DType type : {options.type, options.cacheType})
    if (type != DType::F32 && type != DType::F16 && type != DType::BF16)
      throw Error(ErrorCode::InvalidArgument, fmt::format("a model in {}", dtypeName(type)),
                  "float32, float16 or bfloat16");
  if (options.blockSize < 1 || options.blockSize > kMostBlockSize)
    throw Error(ErrorCode::InvalidArgument, fmt::format("blocks of {}", options.blockSize),
                fmt::format("1 to {} tokens", kMostBlockSize));
}

LlamaConfig readConfig(const std::string& path) {
  const std::string text = readTextFile(path);
  try {
    return parseLlamaConfig(text);
  } catch (Error& error) {
    error.within("file " + path);
    throw;
  }
}

}  // namespace

Network convertCheckpoint(const std::string& folder, const CheckpointOptions& options) {
  check(options);
  const LlamaConfig config = readConfig(folder + "/config.json");
  const Safetensors weights = Safetensors::openFolder(folder);
  try {
    Graph graph = llamaGraph(config, weights, {options.type, options.cacheType, options.blockSize});
    const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
    graph.name = (path.has_filename() ? path : path.parent_path()).filename().string();
    return networkOf(std::move(graph));
  } catch (Error& error) {
    error.within("folder " + folder);
    throw;
  }
}

}  // namespace carnot
