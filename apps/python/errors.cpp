#include "python/errors.h"

#include <carnot/error.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

namespace nb = nanobind;

namespace carnot::python {
namespace {

// Lives as long as the interpreter: never released, so that no destructor runs after it.
PyObject* errorType = nullptr;

// A model's own words stand in errors, and may be any bytes.
nb::object textOf(std::string_view bytes) {
  return nb::steal(
      PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

void raise(const std::exception_ptr& caught, void*) {
  try {
    std::rethrow_exception(caught);
  } catch (const Error& error) {
    if (!errorType) {
      PyErr_SetString(PyExc_RuntimeError, error.what());
      return;
    }
    nb::list context;
    for (const std::string& frame : error.context()) context.append(textOf(frame));
    try {
      nb::object made =
          nb::handle(errorType)(errorCodeName(error.code()), textOf(error.has()),
                                textOf(error.needs()), textOf(error.remedy()), nb::tuple(context));
      PyErr_SetObject(errorType, made.ptr());
    } catch (nb::python_error& failed) {
      failed.restore();
    }
  }
}

}  // namespace

void translateErrors() { nb::register_exception_translator(raise, nullptr); }

void setErrorType(nb::object type) {
  Py_XDECREF(errorType);
  errorType = type.release().ptr();
}

}  // namespace carnot::python
