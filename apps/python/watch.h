#pragma once

#include <carnot/runtime.h>
#include <nanobind/nanobind.h>

namespace carnot::python {

// Context::runWatched with a Python function, which is called with (layer, operators, kernel,
// origins, inputs, tensor, layout, dtype, shape, dims, bytes) for each output. `bytes` is a
// read-only array of uint8 over the memory as stored, valid during the call only. What it raises
// ends the run.
void runWatched(Context& context, const nanobind::object& watcher);

}  // namespace carnot::python
