#pragma once

#include <nanobind/nanobind.h>

namespace carnot::python {

// device_*: the device's memory by address (see carnot/memory.h).
void bindMemory(nanobind::module_& m);
// stream_*, event_*: order of work on it by handles (see carnot/streams.h).
void bindStreams(nanobind::module_& m);

}  // namespace carnot::python
