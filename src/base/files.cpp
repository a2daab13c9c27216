#include "base/files.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace carnot {
namespace {

namespace fs = std::filesystem;

std::string causeOf(int code) { return std::generic_category().message(code); }

[[noreturn]] void throwIo(const std::string& path, std::string_view verb, int code,
                          std::string needs = {}, std::string remedy = {}) {
  throw Error(ErrorCode::Io, fmt::format("file {}: cannot {}: {}", path, verb, causeOf(code)),
              std::move(needs), std::move(remedy));
}

template <typename Call>
auto retryInterrupted(Call call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

struct stat statOf(int descriptor, const std::string& path) {
  struct stat status;
  if (::fstat(descriptor, &status) != 0) throwIo(path, "examine", errno);
  return status;
}

std::string folderOf(const std::string& path) {
  std::string folder = fs::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void refuseFolder(const std::string& path, mode_t mode) {
  if (S_ISDIR(mode))
    throw Error(ErrorCode::Io, fmt::format("{} is a folder", path), "a file", "name a file in it");
}

}  // namespace

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  // Non-blocking, so that a pipe without a writer is refused rather than waited for.
  Descriptor file(
      retryInterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
  if (file.get() < 0) throwIo(path, "open", errno);
  struct stat status = statOf(file.get(), path);
  refuseFolder(path, status.st_mode);
  if (!S_ISREG(status.st_mode))
    throw Error(ErrorCode::Io, fmt::format("{} is a device or a pipe", path), "a regular file",
                "copy it to a file first");

  std::shared_ptr<MappedFile> result(new MappedFile());
  result->path_ = path;
  if (status.st_size == 0) return result;  // mmap refuses empty files
  auto size = static_cast<size_t>(status.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) throwIo(path, "map", errno, fmt::format("{} bytes of addresses", size));
  result->data_ = static_cast<const std::byte*>(data);
  result->size_ = size;
  return result;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

namespace {

// Where the bytes go: the path, or what it links to, so that a link stays one.
std::string resolveLink(const std::string& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  fs::path target = fs::canonical(path, error);
  return error ? path : target.string();
}

// Creates a file of a new name in `folder`; its mode is left to the umask.
int createTemporary(const std::string& path, std::string& name) {
  static std::atomic<uint32_t> counter{0};
  std::string folder = folderOf(path);
  constexpr int kTries = 100;  // names of other processes may stand in the way
  for (int i = 0; i < kTries; ++i) {
    name = fmt::format("{}/.carnot-{}-{}.tmp", folder, ::getpid(), counter++);
    int descriptor = retryInterrupted(
        [&] { return ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    if (descriptor >= 0) return descriptor;
    if (errno != EEXIST) break;
  }
  int code = errno;
  bool missing = code == ENOENT || code == ENOTDIR;
  throwIo(path, "create", code, missing ? fmt::format("the folder {}", folder) : std::string(),
          missing ? "make it, or name another" : "");
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(resolveLink(path)) {
  struct stat status;
  bool exists = ::stat(path_.c_str(), &status) == 0;
  if (exists) refuseFolder(path_, status.st_mode);
  if (exists && !S_ISREG(status.st_mode)) {
    // A device or a pipe (/dev/stdout) cannot be replaced; it takes the bytes as they come.
    descriptor_ =
        retryInterrupted([&] { return ::open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY); });
    if (descriptor_ < 0) throwIo(path_, "open", errno);
    return;
  }
  if (exists && ::access(path_.c_str(), W_OK) != 0) throwIo(path_, "write", errno);
  descriptor_ = createTemporary(path_, temporary_);
  if (exists) (void)::fchmod(descriptor_, status.st_mode & 07777);  // keeps what the owner chose
}

AtomicFile::~AtomicFile() { abandon(); }

void AtomicFile::abandon() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::fail(const char* verb, int code, size_t needed) {
  abandon();
  bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  if (!full) throwIo(path_, verb, code);
  std::string folder = folderOf(path_);
  struct statvfs space;
  std::string free;
  if (code == ENOSPC && ::statvfs(folder.c_str(), &space) == 0)
    free = fmt::format(" (free now: {})", static_cast<uint64_t>(space.f_bavail) * space.f_frsize);
  throwIo(path_, verb, code,
          fmt::format("room for at least {} bytes in {}{}", needed, folder, free),
          "free space, or name another folder");
}

void AtomicFile::write(const void* data, size_t bytes) {
  ensure(descriptor_ >= 0, "write to a file that was committed or has failed");
  constexpr size_t kMostAtOnce = size_t{1} << 30;  // Linux writes at most 2^31 - 4096
  size_t needed = size_ + bytes;
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    ssize_t written =
        retryInterrupted([&] { return ::write(descriptor_, from, std::min(bytes, kMostAtOnce)); });
    if (written < 0) fail("write", errno, needed);
    from += written;
    bytes -= static_cast<size_t>(written);
    size_ += static_cast<size_t>(written);
  }
}

void AtomicFile::pad(size_t alignment) {
  ensure(alignment > 0, "padding to a multiple of 0");
  static constexpr std::array<char, 4096> kZeros = {};
  size_t missing = (alignment - size_ % alignment) % alignment;
  while (missing > 0) {
    size_t part = std::min(missing, kZeros.size());
    write(kZeros.data(), part);
    missing -= part;
  }
}

void AtomicFile::commit() {
  ensure(descriptor_ >= 0, "commit of a file that was committed or has failed");
  bool direct = temporary_.empty();
  if (!direct && retryInterrupted([&] { return ::fsync(descriptor_); }) != 0)
    fail("write", errno, size_);
  // The descriptor is gone after close, whatever it says; Linux reports late write errors here.
  int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 && errno != EINTR) fail("write", errno, size_);
  if (direct) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("replace", errno, size_);
  temporary_.clear();
  // The name itself must reach the disk. Some file systems cannot sync a folder and need not.
  std::string folder = folderOf(path_);
  Descriptor directory(
      retryInterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (directory.get() >= 0 && ::fsync(directory.get()) != 0 && errno == EIO)
    throwIo(folder, "sync the folder of the new file", EIO);
}

std::string readTextFile(const std::string& path) {
  Descriptor file(retryInterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (file.get() < 0) throwIo(path, "open", errno);
  refuseFolder(path, statOf(file.get(), path).st_mode);
  std::string text;
  std::array<char, size_t{1} << 16> block;
  while (true) {
    ssize_t got = retryInterrupted([&] { return ::read(file.get(), block.data(), block.size()); });
    if (got < 0) throwIo(path, "read", errno);
    if (got == 0) return text;
    text.append(block.data(), static_cast<size_t>(got));
  }
}

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string homeFolder() {
  if (std::string home = environment("HOME"); !home.empty()) return home;
  std::array<char, 4096> storage;
  struct passwd entry, *found = nullptr;
  if (::getpwuid_r(::getuid(), &entry, storage.data(), storage.size(), &found) != 0 || !found)
    return {};
  return found->pw_dir ? found->pw_dir : "";
}

}  // namespace

std::string cacheFolder() {
  std::string folder = environment("CARNOT_CACHE");
  if (folder.empty()) {
    // The XDG specification has relative paths ignored.
    if (std::string base = environment("XDG_CACHE_HOME"); fs::path(base).is_absolute())
      folder = base + "/carnot";
    else if (std::string home = homeFolder(); !home.empty())
      folder = home + "/.cache/carnot";
    else
      return {};
  }
  std::error_code error;
  fs::create_directories(folder, error);
  return fs::is_directory(folder, error) ? folder : std::string();
}

FileLock::FileLock(const std::string& path) {
  // The lock file stays: removing it would let a waiter hold a lock on a name that is gone.
  std::string name = path + ".lock";
  Descriptor file(
      retryInterrupted([&] { return ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666); }));
  if (file.get() < 0) throwIo(name, "create", errno);
  if (retryInterrupted([&] { return ::flock(file.get(), LOCK_EX); }) != 0)
    throwIo(name, "lock", errno);
  descriptor_ = file.release();
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace carnot
