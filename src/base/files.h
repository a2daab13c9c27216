#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace carnot {

// A file mapped read-only for the object's lifetime. Throws Error (Io) naming the path and the
// cause.
class MappedFile {
 public:
  static std::shared_ptr<MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// Writes beside the target, syncs, renames: readers see the old file or the whole new one, and a
// failure (full disk, no permission) leaves the old one and no debris. A link's target is replaced,
// not the link; a device or pipe is written in place. Throws Error (Io); after that only the
// destructor may be called.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // abandons unless committed
  void write(const void* data, size_t bytes);
  void pad(size_t alignment);  // zeros up to the next multiple
  size_t size() const { return size_; }
  void commit();

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

 private:
  void abandon() noexcept;
  [[noreturn]] void fail(const char* verb, int code, size_t needed);

  std::string path_, temporary_;
  int descriptor_ = -1;
  size_t size_ = 0;
};

std::string readTextFile(const std::string& path);
// The user's cache folder for Carnot ($CARNOT_CACHE, else $XDG_CACHE_HOME/carnot, else
// ~/.cache/carnot); made if missing. Empty when none can be made.
std::string cacheFolder();

// An advisory lock on `path` + ".lock", held for the object's lifetime; waits for others.
class FileLock {
 public:
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace carnot
