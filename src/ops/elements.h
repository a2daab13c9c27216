#pragma once

#include <complex>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "ops/operator.h"

namespace carnot {

// What references share: whole tensors as double or int64, elements moved bit for bit, positions.

std::vector<double> loadDoubles(const TensorView& view);
std::vector<int64_t> loadInts(const TensorView& view);
// Of `view` broadcast to `dims`.
std::vector<double> loadBroadcast(const TensorView& view, std::span<const int64_t> dims);

// Elements as the numbers that an operator for real and complex types computes with.
template <typename Number>
Number loadNumber(const TensorView& view, int64_t i) {
  if constexpr (std::is_same_v<Number, double>)
    return view.loadDouble(i);
  else
    return view.loadComplex(i);
}
inline void storeNumber(const TensorView& view, int64_t i, double value) {
  view.storeDouble(i, value);
}
inline void storeNumber(const TensorView& view, int64_t i, std::complex<double> value) {
  view.storeComplex(i, value);
}
template <typename Number>
std::vector<Number> loadNumbers(const TensorView& view) {
  std::vector<Number> values(static_cast<size_t>(view.count()));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = loadNumber<Number>(view, static_cast<int64_t>(i));
  return values;
}

// Copies element i of `from` to element j of `to`; both of one type.
void copyElement(const TensorView& from, int64_t i, const TensorView& to, int64_t j);
void zeroElements(const TensorView& view);
// The least and the greatest value of the type, infinities included.
void storeLowest(const TensorView& view, int64_t i);
void storeHighest(const TensorView& view, int64_t i);

// Whether element i is less than element j; NaN is greater than any number.
bool elementLess(const TensorView& view, int64_t i, int64_t j);

// Elements from one index of each axis to its next; the last is 1.
std::vector<int64_t> rowMajorStrides(std::span<const int64_t> dims);
// Strides that read a tensor of `dims` as if broadcast to `to`: 0 along broadcast axes.
std::vector<int64_t> broadcastStrides(std::span<const int64_t> dims, std::span<const int64_t> to);
int64_t offsetOf(std::span<const int64_t> position, std::span<const int64_t> strides);

// A tensor cut at one axis: [outer, extent, inner].
struct AxisSplit {
  int64_t outer = 1, extent = 1, inner = 1;
};
AxisSplit splitAt(std::span<const int64_t> dims, size_t axis);

// `index` counted from the end when negative; throws Error (InvalidArgument) outside
// [-extent, extent).
int64_t wrapIndex(int64_t index, int64_t extent);

// Throws Error (InvalidArgument) where `dims` reach beyond `bounds` in an axis other than `free`.
void requireWithin(std::span<const int64_t> dims, std::span<const int64_t> bounds, size_t free);

// Calls body(position) for every index of a row-major box, last axis fastest.
template <typename Body>
void forEachIndex(std::span<const int64_t> dims, Body&& body) {
  for (int64_t dim : dims)
    if (dim == 0) return;
  std::vector<int64_t> position(dims.size(), 0);
  for (;;) {
    body(std::span<const int64_t>(position));
    size_t axis = dims.size();
    while (axis > 0 && ++position[axis - 1] == dims[axis - 1]) position[--axis] = 0;
    if (axis == 0) return;
  }
}

}  // namespace carnot
