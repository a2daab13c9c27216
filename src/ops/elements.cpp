#include "ops/elements.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace carnot {

std::vector<double> loadDoubles(const TensorView& view) {
  std::vector<double> values(static_cast<size_t>(view.count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = view.loadDouble(static_cast<int64_t>(i));
  return values;
}

std::vector<int64_t> loadInts(const TensorView& view) {
  std::vector<int64_t> values(static_cast<size_t>(view.count()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = view.loadInt(static_cast<int64_t>(i));
  return values;
}

std::vector<double> loadBroadcast(const TensorView& view, std::span<const int64_t> dims) {
  const std::vector<int64_t> strides = broadcastStrides(view.dims, dims);
  std::vector<double> values;
  values.reserve(static_cast<size_t>(elementCount(dims)));
  forEachIndex(dims, [&](std::span<const int64_t> at) {
    values.push_back(view.loadDouble(offsetOf(at, strides)));
  });
  return values;
}

void copyElement(const TensorView& from, int64_t i, const TensorView& to, int64_t j) {
  const int bits = dtypeBits(from.dtype);
  const auto* source = static_cast<const uint8_t*>(from.data);
  auto* target = static_cast<uint8_t*>(to.data);
  if (bits >= 8) {
    const int bytes = bits / 8;
    std::memcpy(target + j * bytes, source + i * bytes, static_cast<size_t>(bytes));
    return;
  }
  const int mask = (1 << bits) - 1, shift = static_cast<int>(j * bits % 8);
  const int code = source[i * bits / 8] >> (i * bits % 8) & mask;
  uint8_t& byte = target[j * bits / 8];
  byte = static_cast<uint8_t>((byte & ~(mask << shift)) | code << shift);
}

void zeroElements(const TensorView& view) { std::memset(view.data, 0, view.bytes()); }

// Types without infinities get NaN from them, so these have their own bounds.
static double greatestFloat(DType type) {
  switch (type) {
    case DType::F8E4M3FN:
      return 448;
    case DType::F8E4M3FNUZ:
      return 240;
    case DType::F8E5M2FNUZ:
      return 57344;
    case DType::F4E2M1:
      return 6;
    case DType::F8E8M0:
      return 0x1p127;
    default:
      return std::numeric_limits<double>::infinity();
  }
}

void storeLowest(const TensorView& view, int64_t i) {
  if (view.dtype == DType::F8E8M0) return view.storeDouble(i, 0x1p-127);
  if (isFloat(view.dtype)) return view.storeDouble(i, -greatestFloat(view.dtype));
  const bool negative = isInteger(view.dtype) && isSigned(view.dtype);
  view.storeInt(i, negative ? INT64_MIN >> (64 - dtypeBits(view.dtype)) : 0);
}

void storeHighest(const TensorView& view, int64_t i) {
  if (isFloat(view.dtype)) return view.storeDouble(i, greatestFloat(view.dtype));
  if (view.dtype == DType::Bool) return view.storeInt(i, 1);
  const int bits = dtypeBits(view.dtype) - (isSigned(view.dtype) ? 1 : 0);
  view.storeInt(i, static_cast<int64_t>(UINT64_MAX >> (64 - bits)));
}

bool elementLess(const TensorView& view, int64_t i, int64_t j) {
  if (isComplex(view.dtype)) {  // by real parts, then imaginary ones
    const auto a = view.loadComplex(i), b = view.loadComplex(j);
    return a.real() != b.real() ? a.real() < b.real() : a.imag() < b.imag();
  }
  if (isFloat(view.dtype)) {
    const double a = view.loadDouble(i), b = view.loadDouble(j);
    return a < b || (std::isnan(b) && !std::isnan(a));
  }
  const int64_t a = view.loadInt(i), b = view.loadInt(j);
  return isSigned(view.dtype) ? a < b : static_cast<uint64_t>(a) < static_cast<uint64_t>(b);
}

std::vector<int64_t> rowMajorStrides(std::span<const int64_t> dims) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t axis = dims.size(); axis-- > 0;) {
    strides[axis] = stride;
    // What is empty may have dims whose product is beyond 2^63: it wraps, and nothing reads it.
    (void)__builtin_mul_overflow(stride, dims[axis], &stride);
  }
  return strides;
}

std::vector<int64_t> broadcastStrides(std::span<const int64_t> dims, std::span<const int64_t> to) {
  std::vector<int64_t> strides(to.size(), 0), own = rowMajorStrides(dims);
  const size_t offset = to.size() - dims.size();
  for (size_t axis = 0; axis < dims.size(); ++axis)
    if (dims[axis] != 1) strides[offset + axis] = own[axis];
  return strides;
}

int64_t offsetOf(std::span<const int64_t> position, std::span<const int64_t> strides) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < position.size(); ++axis) offset += position[axis] * strides[axis];
  return offset;
}

AxisSplit splitAt(std::span<const int64_t> dims, size_t axis) {
  return {.outer = elementCount(dims.first(axis)),
          .extent = dims[axis],
          .inner = elementCount(dims.subspan(axis + 1))};
}

int64_t wrapIndex(int64_t index, int64_t extent) {
  const int64_t wrapped = index < 0 ? index + extent : index;
  if (wrapped >= 0 && wrapped < extent) return wrapped;
  throw Error(ErrorCode::InvalidArgument, fmt::format("index {}", index),
              fmt::format("an index within [-{0}, {0})", extent));
}

void requireWithin(std::span<const int64_t> dims, std::span<const int64_t> bounds, size_t free) {
  for (size_t axis = 0; axis < dims.size(); ++axis)
    if (axis != free && dims[axis] > bounds[axis])
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("{} indices along axis {}", dims[axis], axis),
                  fmt::format("at most the {} elements there", bounds[axis]));
}

}  // namespace carnot
