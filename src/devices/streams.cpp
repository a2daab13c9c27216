#include "devices/streams.h"

#include "base/error.h"
#include "devices/addresses.h"

namespace carnot {
namespace {

constexpr uintptr_t kDefaultStreams = 2;  // CUDA's handles of them: 0, 1 and 2

uintptr_t handleOf(const void* object) { return reinterpret_cast<uintptr_t>(object); }
void* pointer(uintptr_t handle) { return reinterpret_cast<void*>(handle); }

Error noSuch(const char* what, uintptr_t handle) {
  return Error(ErrorCode::InvalidArgument, fmt::format("no {} of handle {}", what, handle),
               "one that was created and not destroyed");
}

}  // namespace

StreamBook::StreamBook(std::shared_ptr<Device> device, DeviceMemory& memory)
    : device_(std::move(device)), memory_(memory) {}

std::shared_ptr<Stream> StreamBook::find(Handle stream) const {
  {
    std::lock_guard lock(mutex_);
    if (auto found = streams_.find(stream); found != streams_.end()) return found->second.stream;
    if (free_[0].contains(stream) || free_[1].contains(stream)) throw noSuch("stream", stream);
  }
  if (stream > kDefaultStreams) {
    if (device_->sharesHostMemory()) throw noSuch("stream", stream);
    // Of another library, which a driver does not check: at least there is something.
    try {
      requireMapped(pointer(stream), sizeof(void*), "stream", DeviceMemory::Access::Read);
    } catch (const Error&) {
      throw noSuch("stream", stream);
    }
  }
  return device_->streamAt(pointer(stream));
}

std::shared_ptr<StreamBook::Mark> StreamBook::findEvent(Handle event) const {
  std::lock_guard lock(mutex_);
  auto found = events_.find(event);
  if (found == events_.end()) throw noSuch("event", event);
  return found->second;
}

DeviceStreams::Handle StreamBook::createStream(bool afterDefault) {
  std::lock_guard lock(mutex_);
  std::map<Handle, std::shared_ptr<Stream>>& free = free_[afterDefault];
  if (!free.empty()) {
    auto again = free.extract(free.begin());
    streams_[again.key()] = {std::move(again.mapped()), afterDefault};
    return again.key();
  }
  std::shared_ptr<Stream> stream = device_->createStream(afterDefault);
  const Handle handle = handleOf(stream->native() ? stream->native() : stream.get());
  streams_[handle] = {std::move(stream), afterDefault};
  return handle;
}

void StreamBook::destroyStream(Handle stream) {
  std::lock_guard lock(mutex_);
  auto found = streams_.extract(stream);
  if (!found) throw noSuch("stream", stream);
  free_[found.mapped().afterDefault][stream] = std::move(found.mapped().stream);
}

void StreamBook::checkStream(Handle stream) const { find(stream); }
void StreamBook::synchronize(Handle stream) { find(stream)->synchronize(); }
bool StreamBook::isIdle(Handle stream) { return find(stream)->idle(); }

void StreamBook::wait(Handle stream, Handle event) {
  const std::shared_ptr<Mark> mark = findEvent(event);
  find(stream)->wait(*mark->event);
}

DeviceStreams::Handle StreamBook::createEvent() {
  auto mark = std::make_shared<Mark>();
  mark->event = device_->createEvent();
  const Handle handle = handleOf(mark.get());
  std::lock_guard lock(mutex_);
  events_[handle] = std::move(mark);
  return handle;
}

void StreamBook::destroyEvent(Handle event) {
  std::shared_ptr<Mark> last = findEvent(event);
  std::lock_guard lock(mutex_);
  events_.erase(event);
}

void StreamBook::record(Handle event, Handle stream) {
  const std::shared_ptr<Mark> mark = findEvent(event);
  mark->event->record(*find(stream));
  mark->recorded = true;
}

void StreamBook::synchronizeEvent(Handle event) { findEvent(event)->event->synchronize(); }
bool StreamBook::isReached(Handle event) { return findEvent(event)->event->reached(); }

double StreamBook::millisecondsBetween(Handle start, Handle end) {
  const std::shared_ptr<Mark> first = findEvent(start), last = findEvent(end);
  if (!first->recorded || !last->recorded)
    throw Error(ErrorCode::InvalidArgument, "an event that was not recorded", "two recorded events",
                "call record first");
  if (!first->event->reached() || !last->event->reached())
    throw Error(ErrorCode::InvalidArgument, "an event that was not reached", "two reached events",
                "synchronize it");
  return last->event->millisecondsSince(*first->event);
}

void StreamBook::copyToDevice(void* device, const void* host, size_t bytes, Handle stream) {
  memory_.checkDevice(device, bytes, "destination");
  device_->copyToDevice(device, host, bytes, *find(stream));
}

void StreamBook::copyToHost(void* host, const void* device, size_t bytes, Handle stream) {
  memory_.checkDevice(device, bytes, "source");
  device_->copyFromDevice(host, device, bytes, *find(stream));
}

void StreamBook::copyOnDevice(void* to, const void* from, size_t bytes, Handle stream) {
  const auto a = handleOf(to), b = handleOf(from);
  const std::shared_ptr<Stream> order = find(stream);
  if (a < b + bytes && b < a + bytes) {  // overlapping: by way of other memory, which must stay
    order->synchronize();
    return memory_.copyOnDevice(to, from, bytes);
  }
  memory_.checkDevice(to, bytes, "destination");
  memory_.checkDevice(from, bytes, "source");
  device_->copyOnDevice(to, from, bytes, *order);
}

void StreamBook::fill(void* device, uint32_t value, int width, size_t count, Handle stream) {
  memory_.checkDevice(device, bytesFilled(width, count), "destination");
  device_->fill(device, value, width, count, *find(stream));
}

}  // namespace carnot
