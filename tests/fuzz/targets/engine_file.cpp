// Engine files that someone meant: sizes and hash are made right, so that what lies behind them is
// reached. They are loaded and run.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/hash.h"
#include "fuzz/run_engine.h"
#include "fuzz/targets.h"

namespace {

std::vector<std::byte> madeRight(carnot::fuzz::Bytes bytes) {
  constexpr size_t kPreamble = 64, kHashedFrom = 32;
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  file.resize(std::max(bytes.size(), kPreamble));
  auto put = [&](size_t at, const void* from, size_t count) {
    std::memcpy(file.data() + at, from, count);
  };
  const uint32_t version[2] = {1, 0};
  uint64_t sizes[2];  // of the head, of the file
  std::memcpy(sizes, file.data() + kHashedFrom, sizeof sizes);
  sizes[0] = std::min<uint64_t>(sizes[0], file.size() - kPreamble);
  sizes[1] = file.size();
  put(0,
      "\x89"
      "CARNOT\n",
      8);
  put(8, version, sizeof version);
  put(kHashedFrom, sizes, sizeof sizes);
  carnot::Hash128 hash =
      carnot::hash128(file.data() + kHashedFrom, kPreamble - kHashedFrom + sizes[0]);
  put(16, &hash.low, 8);
  put(24, &hash.high, 8);
  return file;
}

}  // namespace

void carnot::fuzz::engineFile(Bytes bytes) {
  std::shared_ptr<const EngineData> engine = deserializeEngine(madeRight(bytes));
  serializeEngine(*engine);
  runEngine(engine);
}
