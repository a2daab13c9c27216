#include "python/memory.h"

#include <carnot/device.h>
#include <carnot/memory.h>
#include <carnot/streams.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace nb = nanobind;

namespace carnot::python {
namespace {

void* pointer(uintptr_t address) {
  return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
}

// The memory of a Python object with the buffer protocol, in one piece.
class HostBuffer {
 public:
  HostBuffer(nb::handle object, bool writable) {
    int flags = PyBUF_ANY_CONTIGUOUS | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~HostBuffer() { PyBuffer_Release(&view_); }
  HostBuffer(const HostBuffer&) = delete;
  HostBuffer& operator=(const HostBuffer&) = delete;

  void* data() const { return view_.buf; }
  size_t bytes() const { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

// Copies take a stream's handle; without one they are done when the call returns.
using Order = std::optional<uintptr_t>;

void copyIn(uintptr_t device, nb::handle host, Order stream) {
  HostBuffer source(host, false);
  nb::gil_scoped_release released;
  if (stream)
    deviceStreams().copyToDevice(pointer(device), source.data(), source.bytes(), *stream);
  else
    deviceMemory().copyToDevice(pointer(device), source.data(), source.bytes());
}

void copyOut(nb::handle host, uintptr_t device, Order stream) {
  HostBuffer destination(host, true);
  nb::gil_scoped_release released;
  if (stream)
    deviceStreams().copyToHost(destination.data(), pointer(device), destination.bytes(), *stream);
  else
    deviceMemory().copyToHost(destination.data(), pointer(device), destination.bytes());
}

void copyAddresses(uintptr_t to, uintptr_t from, size_t bytes, std::string_view direction,
                   Order stream) {
  nb::gil_scoped_release released;
  DeviceMemory& memory = deviceMemory();
  if (direction == "to_device" || direction == "on_host")
    memory.checkUsable(pointer(from), bytes, "source", DeviceMemory::Access::Read);
  if (direction == "to_host" || direction == "on_host")
    memory.checkUsable(pointer(to), bytes, "destination", DeviceMemory::Access::Write);
  if (direction == "on_host") {
    if (stream) deviceStreams().synchronize(*stream);
    if (bytes) std::memmove(pointer(to), pointer(from), bytes);
  } else if (direction == "to_device") {
    stream ? deviceStreams().copyToDevice(pointer(to), pointer(from), bytes, *stream)
           : memory.copyToDevice(pointer(to), pointer(from), bytes);
  } else if (direction == "to_host") {
    stream ? deviceStreams().copyToHost(pointer(to), pointer(from), bytes, *stream)
           : memory.copyToHost(pointer(to), pointer(from), bytes);
  } else {
    stream ? deviceStreams().copyOnDevice(pointer(to), pointer(from), bytes, *stream)
           : memory.copyOnDevice(pointer(to), pointer(from), bytes);
  }
}

nb::tuple findPlace(uintptr_t address) {
  DeviceMemory::Place place = deviceMemory().find(pointer(address));
  const char* const kinds[] = {"live", "freed", "foreign"};
  return nb::make_tuple(kinds[static_cast<int>(place.kind)],
                        reinterpret_cast<uintptr_t>(place.base), place.bytes);
}

nb::tuple usageNow() {
  DeviceMemory::Usage usage = deviceMemory().usage();
  return nb::make_tuple(usage.free, usage.total, usage.allocated);
}

}  // namespace

void bindMemory(nb::module_& m) {
  m.def("device_kind", [] { return std::string(deviceMemory().kind()); });
  m.def("device_model", [] { return deviceMemory().model(); });
  m.def("device_reason", [] { return deviceInfo().reason; });
  m.def("device_capability", [] {
    const int capability = deviceInfo().computeCapability;
    return nb::make_tuple(capability / 10, capability % 10);
  });
  m.def("device_multiprocessors", [] { return deviceInfo().multiprocessors; });
  m.def("device_allocate", [](size_t bytes) {
    nb::gil_scoped_release released;
    return reinterpret_cast<uintptr_t>(deviceMemory().allocate(bytes));
  });
  m.def("device_release", [](uintptr_t base) { deviceMemory().release(pointer(base)); });
  m.def("host_allocate", [](size_t bytes) {
    nb::gil_scoped_release released;
    return reinterpret_cast<uintptr_t>(deviceMemory().allocateHost(bytes));
  });
  m.def("host_release", [](uintptr_t base) { deviceMemory().releaseHost(pointer(base)); });
  m.def("device_synchronize", [] {
    nb::gil_scoped_release released;
    deviceMemory().synchronize();
  });
  m.def("device_find", &findPlace);
  m.def("device_usage", &usageNow);
  m.def("device_copy_in", &copyIn, nb::arg("device"), nb::arg("host"),
        nb::arg("stream") = nb::none());
  m.def("device_copy_out", &copyOut, nb::arg("host"), nb::arg("device"),
        nb::arg("stream") = nb::none());
  m.def("device_copy", &copyAddresses, nb::arg("to"), nb::arg("source"), nb::arg("bytes"),
        nb::arg("direction"), nb::arg("stream") = nb::none());
  m.def(
      "device_fill",
      [](uintptr_t device, uint32_t value, int width, size_t count, Order stream) {
        nb::gil_scoped_release released;
        if (stream)
          deviceStreams().fill(pointer(device), value, width, count, *stream);
        else
          deviceMemory().fill(pointer(device), value, width, count);
      },
      nb::arg("device"), nb::arg("value"), nb::arg("width"), nb::arg("count"),
      nb::arg("stream") = nb::none());
}

void bindStreams(nb::module_& m) {
  using Handle = DeviceStreams::Handle;
  using Released = nb::call_guard<nb::gil_scoped_release>;
  m.def("stream_create",
        [](bool afterDefault) { return deviceStreams().createStream(afterDefault); });
  m.def(
      "stream_destroy", [](Handle stream) { deviceStreams().destroyStream(stream); }, Released());
  m.def("stream_check", [](Handle stream) { deviceStreams().checkStream(stream); });
  m.def(
      "stream_synchronize", [](Handle stream) { deviceStreams().synchronize(stream); }, Released());
  m.def("stream_is_idle", [](Handle stream) { return deviceStreams().isIdle(stream); });
  m.def("stream_wait", [](Handle stream, Handle event) { deviceStreams().wait(stream, event); });
  m.def("event_create", [] { return deviceStreams().createEvent(); });
  m.def("event_destroy", [](Handle event) { deviceStreams().destroyEvent(event); });
  m.def("event_record", [](Handle event, Handle stream) { deviceStreams().record(event, stream); });
  m.def(
      "event_synchronize", [](Handle event) { deviceStreams().synchronizeEvent(event); },
      Released());
  m.def("event_is_reached", [](Handle event) { return deviceStreams().isReached(event); });
  m.def("event_milliseconds_between",
        [](Handle start, Handle end) { return deviceStreams().millisecondsBetween(start, end); });
}

}  // namespace carnot::python
