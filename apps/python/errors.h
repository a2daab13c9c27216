#pragma once

#include <nanobind/nanobind.h>

namespace carnot::python {

// Registers the translation of carnot::Error to the Python class given to setErrorType.
void translateErrors();
// A class called as cls(code, has, needs, remedy, context).
void setErrorType(nanobind::object type);

}  // namespace carnot::python
