#pragma once

#include <carnot/builder.h>
#include <nanobind/nanobind.h>

namespace carnot::python {

// Builds from a path (str) or a model's bytes with the interpreter released. On the main thread,
// Ctrl-C cancels the build and raises KeyboardInterrupt. `log` is called with (severity, message),
// `progress` with (phase, done, all), `patches` with (number, pass, label, reason, node, origins);
// each may be None. What they raise cancels the build.
Engine buildEngine(nanobind::handle model, BuildOptions options, nanobind::object log,
                   nanobind::object progress, nanobind::object patches);

}  // namespace carnot::python
