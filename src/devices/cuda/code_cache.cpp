#include "devices/cuda/code_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace carnot::cuda {
namespace {

// A cached file: the hash of the code, then the code.
std::vector<char> readCached(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  try {
    const auto file = MappedFile::open(path);
    auto bytes = file->bytes();
    Hash128 stored;
    if (bytes.size() <= sizeof stored) return {};
    std::memcpy(&stored, bytes.data(), sizeof stored);
    bytes = bytes.subspan(sizeof stored);
    if (hash128(bytes.data(), bytes.size()) != stored) return {};
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    return {begin, begin + bytes.size()};
  } catch (const Error&) {
    return {};  // compiled again
  }
}

void writeCached(const std::string& path, const std::vector<char>& code) {
  try {
    AtomicFile file(path);
    const Hash128 hash = hash128(code.data(), code.size());
    file.write(&hash, sizeof hash);
    file.write(code.data(), code.size());
    file.commit();
  } catch (const Error&) {
    // A cache that cannot be written costs time only.
  }
}

}  // namespace

std::vector<char> cachedCode(const std::string& key, const char* kind,
                             const std::function<std::vector<char>()>& make) {
  std::string folder = cacheFolder();
  if (folder.empty()) return make();
  folder += "/cuda";
  mkdir(folder.c_str(), 0755);
  const std::string path =
      fmt::format("{}/{}.{}", folder, hash128(key.data(), key.size()).hex(), kind);
  if (std::vector<char> code = readCached(path); !code.empty()) return code;
  std::vector<char> code = make();
  if (!code.empty()) writeCached(path, code);
  return code;
}

}  // namespace carnot::cuda
