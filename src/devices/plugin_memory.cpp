#include "devices/plugin_memory.h"

#include <algorithm>

#include "base/error.h"
#include "devices/addresses.h"
#include "devices/plugin.h"

namespace carnot {
namespace {

constexpr size_t kRemembered = 4096;  // freed allocations
constexpr size_t kPage = 4096;

bool holds(const std::byte* base, size_t bytes, const std::byte* address) {
  return address >= base && address < base + bytes;
}

}  // namespace

PluginMemory::PluginMemory(std::shared_ptr<Device> device)
    : device_(std::move(device)), stream_(device_->streamAt(nullptr)) {}

void* PluginMemory::allocate(size_t bytes) {
  if (bytes == 0)
    throw Error(ErrorCode::InvalidArgument, "0 bytes of device memory asked for", "1 or more");
  const size_t free = device_->freeBytes();
  if (bytes > free)
    throw Error(ErrorCode::OutOfMemory,
                fmt::format("{} bytes of device memory asked for; {} bytes are free", bytes, free),
                "", "free what is no longer used, or ask for less");
  std::shared_ptr<Buffer> buffer = device_->allocate(bytes);
  std::lock_guard lock(books_);
  auto* base = static_cast<std::byte*>(buffer->data());
  forgetFreed(base, bytes);
  live_.emplace(base, std::move(buffer));
  liveBytes_ += bytes;
  return base;
}

void PluginMemory::forgetFreed(const std::byte* base, size_t bytes) {
  std::erase_if(freed_, [&](const auto& old) {
    return old.first < base + bytes && base < old.first + old.second;
  });
}

void PluginMemory::release(void* base) {
  if (!base) return;
  requireStart(find(base), base);
  std::shared_ptr<Buffer> buffer;
  {
    std::lock_guard lock(books_);
    auto found = live_.find(static_cast<const std::byte*>(base));
    if (found == live_.end()) return;  // another thread was faster
    buffer = std::move(found->second);
    live_.erase(found);
    liveBytes_ -= buffer->bytes();
    freed_.emplace_back(static_cast<const std::byte*>(base), buffer->bytes());
    if (freed_.size() > kRemembered) freed_.pop_front();
  }
  synchronize();  // what runs may still touch it
}

DeviceMemory::Place PluginMemory::find(const void* address) const {
  const auto* byte = static_cast<const std::byte*>(address);
  std::lock_guard lock(books_);
  auto after = live_.upper_bound(byte);
  if (after != live_.begin()) {
    const auto& [base, buffer] = *std::prev(after);
    if (holds(base, buffer->bytes(), byte))
      return {Place::Kind::Live, buffer->data(), buffer->bytes()};
  }
  for (const auto& [base, bytes] : freed_)
    if (holds(base, bytes, byte)) return {Place::Kind::Freed, const_cast<std::byte*>(base), bytes};
  return {};
}

void PluginMemory::checkDevice(const void* address, size_t bytes, std::string_view what) const {
  const Place place = find(address);
  if (place.kind == Place::Kind::Foreign && address && device_->reaches(address)) return;
  // The driver gave it to another owner since.
  if (place.kind == Place::Kind::Freed && !device_->sharesHostMemory() && device_->reaches(address))
    return;
  requireLive(place, address, bytes, what);
}

void PluginMemory::checkUsable(const void* address, size_t bytes, std::string_view what,
                               Access access) const {
  if (find(address).kind != Place::Kind::Foreign || (address && device_->reaches(address)))
    return checkDevice(address, bytes, what);
  {
    // Locked by the driver, which maps it so that the system does not call it the process's.
    std::lock_guard lock(books_);
    const auto* byte = static_cast<const std::byte*>(address);
    auto after = host_.upper_bound(byte);
    if (after != host_.begin()) {
      const Buffer& buffer = *std::prev(after)->second;
      if (byte + bytes <= static_cast<const std::byte*>(buffer.data()) + buffer.bytes()) return;
    }
  }
  requireMapped(address, bytes, what, access);
}

void PluginMemory::copyToDevice(void* device, const void* host, size_t bytes) {
  checkDevice(device, bytes, "destination");
  device_->copyToDevice(device, host, bytes, *stream_);
  stream_->synchronize();
}

void PluginMemory::copyToHost(void* host, const void* device, size_t bytes) {
  checkDevice(device, bytes, "source");
  device_->copyFromDevice(host, device, bytes, *stream_);
  stream_->synchronize();
}

void PluginMemory::copyOnDevice(void* to, const void* from, size_t bytes) {
  checkDevice(to, bytes, "destination");
  checkDevice(from, bytes, "source");
  auto *a = static_cast<std::byte*>(to),
       *b = const_cast<std::byte*>(static_cast<const std::byte*>(from));
  if (a < b + bytes && b < a + bytes && a != b) {  // overlapping
    const std::shared_ptr<Buffer> aside = device_->allocate(bytes);
    device_->copyOnDevice(aside->data(), from, bytes, *stream_);
    device_->copyOnDevice(to, aside->data(), bytes, *stream_);
    stream_->synchronize();
    return;
  }
  device_->copyOnDevice(to, from, bytes, *stream_);
  stream_->synchronize();
}

void PluginMemory::fill(void* device, uint32_t value, int width, size_t count) {
  checkDevice(device, bytesFilled(width, count), "destination");
  device_->fill(device, value, width, count, *stream_);
  stream_->synchronize();
}

void* PluginMemory::allocateHost(size_t bytes) {
  // Drivers give parts of pages.
  std::shared_ptr<Buffer> buffer = device_->allocateHost(std::max<size_t>(bytes, 1) + kPage - 1);
  std::lock_guard lock(books_);
  auto* base = static_cast<std::byte*>(buffer->data());
  forgetFreed(base, buffer->bytes());
  base += -reinterpret_cast<uintptr_t>(base) % kPage;
  host_.emplace(base, std::move(buffer));
  return base;
}

void PluginMemory::releaseHost(void* base) {
  std::shared_ptr<Buffer> buffer;  // freed outside the lock
  std::lock_guard lock(books_);
  auto found = host_.find(static_cast<const std::byte*>(base));
  if (found == host_.end()) return;
  buffer = std::move(found->second);
  host_.erase(found);
}

void PluginMemory::synchronize() {
  if (device_->traits().kind == "cpu") return;
  devicePlugin(device_->traits().kind).synchronize();
}

DeviceMemory::Usage PluginMemory::usage() const {
  std::lock_guard lock(books_);
  return {device_->freeBytes(), device_->traits().memoryBytes, liveBytes_};
}

}  // namespace carnot
