#pragma once

#include <nanobind/nanobind.h>

#include "python/options.h"

namespace carnot::python {

// Builds from a path (str), a model's bytes or a Network with the interpreter released. On the main
// thread, Ctrl-C cancels the build and raises KeyboardInterrupt. `log` is called with (severity,
// message), `progress` with (phase, done, all), `patches` with (number, pass, label, reason, node,
// origins); each may be None. What they raise cancels the build. Timings given as text are replaced
// by those known after the build.
Engine buildEngine(nanobind::handle model, PythonBuildOptions& given, nanobind::object log,
                   nanobind::object progress, nanobind::object patches);

}  // namespace carnot::python
