#pragma once

#include <carnot/runtime.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>
#include <vector>

namespace carnot::python {

using InputArray = nanobind::ndarray<nanobind::ro>;
using OutputArray = nanobind::ndarray<>;

// Memory of Python arrays, read or written without a copy: anything that speaks DLPack or the
// buffer protocol, in row-major order on the CPU, of the declared type (or, for types that NumPy
// lacks, unsigned integers of their size). Throws Error (InvalidArgument) naming the tensor, what
// the array has and what is needed. What is given back keeps the memory.
//
// `packed`: the array holds the bytes of a tensor of this shape, for types of less than a byte.
InputArray setInputArray(Context& context, int index, nanobind::handle array,
                         const std::optional<std::vector<int64_t>>& packed);
OutputArray setOutputArray(Context& context, int index, nanobind::handle array, bool packed);
// A state's memory, which runs read and write; its shape becomes the state's.
OutputArray setStateArray(Context& context, int index, nanobind::handle array);

}  // namespace carnot::python
