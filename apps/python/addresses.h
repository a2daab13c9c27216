#pragma once

#include <nanobind/nanobind.h>

namespace carnot::python {

// AddressContext: a context whose tensors are given by address.
void bindAddressContext(nanobind::module_& m);

}  // namespace carnot::python
