#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace carnot {

struct Hash128 {
  uint64_t low = 0, high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  std::string hex() const;
};

// XXH3 (xxHash specification, 64 and 128 bits).
uint64_t hash64(const void* data, size_t bytes, uint64_t seed = 0);
inline uint64_t hash64(std::string_view text, uint64_t seed = 0) {
  return hash64(text.data(), text.size(), seed);
}
Hash128 hash128(const void* data, size_t bytes);
inline uint64_t hashCombine(uint64_t a, uint64_t b) {
  uint64_t pair[2] = {a, b};
  return hash64(pair, sizeof pair);
}

}  // namespace carnot
