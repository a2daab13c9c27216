#include "base/shape.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace carnot {

Shape Shape::of(std::span<const int64_t> dims) {
  return Shape(std::vector<Dim>(dims.begin(), dims.end()));
}

bool Shape::isStatic() const {
  return std::all_of(begin(), end(), [](const Dim& dim) { return dim.isConstant(); });
}

std::vector<int64_t> Shape::concrete() const {
  std::vector<int64_t> result;
  result.reserve(rank());
  for (const Dim& dim : dims_) result.push_back(dim.constant());
  return result;
}

std::vector<int64_t> Shape::evaluate(const Dim::Lookup& valueOf) const {
  std::vector<int64_t> result;
  result.reserve(rank());
  for (const Dim& dim : dims_) result.push_back(dim.evaluate(valueOf));
  return result;
}

Dim Shape::elementCount() const { return elementCount(0, rank()); }

Dim Shape::elementCount(size_t first, size_t last) const {
  ensure(first <= last && last <= rank(), "elementCount outside the shape's rank");
  Dim count = 1;
  for (size_t axis = first; axis < last; ++axis) count = count * dims_[axis];
  return count;
}

Shape Shape::substitute(const std::map<std::string, Dim>& bySymbol) const {
  Shape result;
  for (const Dim& dim : dims_) result.push(dim.substitute(bySymbol));
  return result;
}

std::string Shape::toString() const {
  std::string text = "[";
  for (const Dim& dim : dims_) {
    if (text.size() > 1) text += ", ";
    text += dim.toString();
  }
  return text + "]";
}

size_t normalizeAxis(int64_t axis, size_t rank) {
  auto count = static_cast<int64_t>(rank);
  if (axis < -count || axis >= count)
    throw Error(ErrorCode::InvalidModel, fmt::format("axis {} of a tensor of rank {}", axis, rank),
                rank == 0 ? std::string("a rank above 0")
                          : fmt::format("an axis from {} to {}", -count, count - 1));
  return static_cast<size_t>(axis < 0 ? axis + count : axis);
}

int64_t elementCount(std::span<const int64_t> dims) {
  for (int64_t dim : dims)
    if (dim < 0)
      throw Error(ErrorCode::InvalidArgument, fmt::format("a dimension of {}", dim), "at least 0");
  if (std::find(dims.begin(), dims.end(), 0) != dims.end()) return 0;
  int64_t count = 1;
  for (int64_t dim : dims)
    if (__builtin_mul_overflow(count, dim, &count))
      throw Error(ErrorCode::OutOfMemory, "a tensor of more than 2^63 - 1 elements");
  return count;
}

}  // namespace carnot
