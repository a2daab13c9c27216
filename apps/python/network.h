#pragma once

#include <nanobind/nanobind.h>

namespace carnot::python {

// Network, ParseIssue and NetworkLayer.
void bindNetwork(nanobind::module_& m);

}  // namespace carnot::python
