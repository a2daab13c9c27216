#include "python/watch.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <functional>
#include <numeric>

namespace nb = nanobind;

namespace carnot::python {
namespace {

template <typename Items>
nb::tuple tupleOf(const Items& items) {
  nb::list list;
  for (const auto& item : items) list.append(item);
  return nb::tuple(list);
}

}  // namespace

void runWatched(Context& context, const nb::object& watcher) {
  // Steps run with the interpreter released, the watcher with it held.
  nb::gil_scoped_release released;
  context.runWatched([&](const Context::LayerOutput& output) {
    int64_t count =
        std::accumulate(output.dims.begin(), output.dims.end(), int64_t(1), std::multiplies<>());
    nb::gil_scoped_acquire held;
    nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>> bytes(
        output.data, {dtypeBytes(output.dtype, count)}, nb::handle());
    watcher(output.layer, output.operators, output.kernel, tupleOf(output.origins),
            tupleOf(output.inputs), output.tensor, output.layout, dtypeName(output.dtype),
            tupleOf(output.shape), tupleOf(output.dims), bytes);
  });
}

}  // namespace carnot::python
