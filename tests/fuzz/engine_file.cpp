// Engine files that someone meant: the hash is made right, so that what lies behind it is reached.

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "runtime/runtime.h"

// The fuzzer's bytes are a head; its weights are 256 zeros.
static std::vector<std::byte> fileAround(const uint8_t* head, size_t bytes) {
  constexpr size_t preamble = 64, weights = 256;
  size_t front = (preamble + bytes + 63) / 64 * 64;
  std::vector<std::byte> file(front + weights);
  auto put = [&](size_t at, const void* data, size_t count) {
    std::memcpy(file.data() + at, data, count);
  };
  const uint32_t version[2] = {1, 0};
  const uint64_t sizes[2] = {bytes, file.size()};
  put(0,
      "\x89"
      "CARNOT\n",
      8);
  put(8, version, sizeof version);
  put(32, sizes, sizeof sizes);
  if (bytes > 0) put(preamble, head, bytes);
  carnot::Hash128 hash = carnot::hash128(file.data() + 32, preamble - 32 + bytes);
  put(16, &hash.low, 8);
  put(24, &hash.high, 8);
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace carnot;
  try {
    std::shared_ptr<const EngineData> engine = deserializeEngine(fileAround(data, bytes), true);
    serializeEngine(*engine);
    LoadedEngine::create(engine, {.threads = 1})->createContext()->prepare();
  } catch (const Error&) {
  }
  return 0;
}
