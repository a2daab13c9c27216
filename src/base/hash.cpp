#include "base/hash.h"

#include <fmt/core.h>

#define XXH_INLINE_ALL
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace carnot {

std::string Hash128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

uint64_t hash64(const void* data, size_t bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(data, bytes, seed);
}

Hash128 hash128(const void* data, size_t bytes) {
  XXH128_hash_t hash = XXH3_128bits(data, bytes);
  return {hash.low64, hash.high64};
}

}  // namespace carnot
