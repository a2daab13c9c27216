#include "base/tensor.h"

#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/convert.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory_limits.h"
#include "base/shape.h"

namespace carnot {

static_assert(std::endian::native == std::endian::little,
              "packed types and files are little-endian");

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kMostBytes = size_t{1} << 47;  // what a process can address

template <typename T>
T load(const void* data, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

template <typename T>
void store(void* data, int64_t index, T value) {
  std::memcpy(static_cast<std::byte*>(data) + index * sizeof(T), &value, sizeof(T));
}

// Calls fn<T>() for the types that C++ has; false for others.
template <typename Fn>
bool withNativeType(DType type, Fn&& fn) {
  switch (type) {
    case DType::F32:
      fn.template operator()<float>();
      return true;
    case DType::F64:
      fn.template operator()<double>();
      return true;
    case DType::I8:
      fn.template operator()<int8_t>();
      return true;
    case DType::I16:
      fn.template operator()<int16_t>();
      return true;
    case DType::I32:
      fn.template operator()<int32_t>();
      return true;
    case DType::I64:
      fn.template operator()<int64_t>();
      return true;
    case DType::U8:
      fn.template operator()<uint8_t>();
      return true;
    case DType::U16:
      fn.template operator()<uint16_t>();
      return true;
    case DType::U32:
      fn.template operator()<uint32_t>();
      return true;
    case DType::U64:
      fn.template operator()<uint64_t>();
      return true;
    default:
      return false;
  }
}

// Where an element of less than a byte lies: the first element in the low bits.
struct PackedPlace {
  int64_t byte;
  int shift;
  uint8_t mask;
};

PackedPlace packedPlace(int bits, int64_t index) {
  int perByte = 8 / bits;
  return {index / perByte, static_cast<int>(index % perByte) * bits,
          static_cast<uint8_t>((1 << bits) - 1)};
}

// The raw code of a type of 16 bits or less.
uint32_t loadCode(const TensorView& view, int64_t index) {
  int bits = dtypeBits(view.dtype);
  if (bits == 16) return load<uint16_t>(view.data, index);
  if (bits == 8) return load<uint8_t>(view.data, index);
  PackedPlace place = packedPlace(bits, index);
  return load<uint8_t>(view.data, place.byte) >> place.shift & place.mask;
}

void storeCode(const TensorView& view, int64_t index, uint32_t code) {
  int bits = dtypeBits(view.dtype);
  if (bits == 16) return store(view.data, index, static_cast<uint16_t>(code));
  if (bits == 8) return store(view.data, index, static_cast<uint8_t>(code));
  PackedPlace place = packedPlace(bits, index);
  auto others = load<uint8_t>(view.data, place.byte) & ~(place.mask << place.shift);
  store(view.data, place.byte, static_cast<uint8_t>(others | (code & place.mask) << place.shift));
}

// I4, U4, I2, U2.
int64_t packedInt(DType type, uint32_t code) {
  int64_t value = code;
  int64_t signBit = int64_t{1} << (dtypeBits(type) - 1);
  return isSigned(type) ? (value ^ signBit) - signBit : value;
}

}  // namespace

std::shared_ptr<Buffer> Buffer::allocate(size_t bytes) {
  void* data = nullptr;
  requireMemory(bytes);
  if (bytes <= kMostBytes)
    data = ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (data == nullptr)
    throw Error(ErrorCode::OutOfMemory, fmt::format("memory for {} bytes refused", bytes), {},
                "free memory, or use a smaller model or shape");
  countMemory(bytes);
  return std::shared_ptr<Buffer>(new Buffer(data, bytes, nullptr, true));
}

std::shared_ptr<Buffer> Buffer::borrow(void* data, size_t bytes, std::shared_ptr<void> keepAlive) {
  return std::shared_ptr<Buffer>(new Buffer(data, bytes, std::move(keepAlive), false));
}

Buffer::~Buffer() {
  if (!owned_) return;
  ::operator delete (data_, std::align_val_t{kAlignment});
  uncountMemory(bytes_);
}

int64_t TensorView::count() const { return elementCount(dims); }
size_t TensorView::bytes() const { return dtypeBytes(dtype, count()); }

double TensorView::loadDouble(int64_t index) const {
  double result = 0;
  if (withNativeType(dtype,
                     [&]<typename T>() { result = static_cast<double>(load<T>(data, index)); }))
    return result;
  switch (dtype) {
    case DType::F16:
      return halfToFloat(load<uint16_t>(data, index));
    case DType::BF16:
      return bfloat16ToFloat(load<uint16_t>(data, index));
    case DType::Bool:
      return load<uint8_t>(data, index) != 0;
    case DType::C64:
      return load<float>(data, 2 * index);
    case DType::C128:
      return load<double>(data, 2 * index);
    default:
      break;
  }
  uint32_t code = loadCode(*this, index);
  return isInteger(dtype) ? static_cast<double>(packedInt(dtype, code)) : decodeFloat(dtype, code);
}

int64_t TensorView::loadInt(int64_t index) const {
  int64_t result = 0;
  bool native = withNativeType(dtype, [&]<typename T>() {
    if constexpr (std::is_integral_v<T>)
      result = static_cast<int64_t>(load<T>(data, index));
    else
      result = truncateToInt(load<T>(data, index));
  });
  if (native) return result;
  if (dtype == DType::Bool) return load<uint8_t>(data, index) != 0;
  if (isInteger(dtype)) return packedInt(dtype, loadCode(*this, index));
  return truncateToInt(loadDouble(index));
}

std::complex<double> TensorView::loadComplex(int64_t index) const {
  if (dtype == DType::C64) return {load<float>(data, 2 * index), load<float>(data, 2 * index + 1)};
  if (dtype == DType::C128)
    return {load<double>(data, 2 * index), load<double>(data, 2 * index + 1)};
  return {loadDouble(index), 0};
}

bool TensorView::loadBool(int64_t index) const {
  if (isComplex(dtype)) return loadComplex(index) != std::complex<double>(0);
  return isInteger(dtype) ? loadInt(index) != 0 : loadDouble(index) != 0;
}

void TensorView::storeDouble(int64_t index, double value) const {
  if (dtype == DType::F32) return store(data, index, static_cast<float>(value));
  if (dtype == DType::F64) return store(data, index, value);
  if (dtype == DType::Bool) return store(data, index, static_cast<uint8_t>(value != 0));
  if (isComplex(dtype)) return storeComplex(index, value);
  if (isFloat(dtype)) return storeCode(*this, index, encodeFloat(dtype, value));
  if (dtype == DType::U64 && value >= 0x1p63 && value < 0x1p64)
    return store(data, index, static_cast<uint64_t>(value));
  storeInt(index, truncateToInt(value));
}

void TensorView::storeRounded(int64_t index, double value) const {
  if (isFloat(dtype) && dtypeBits(dtype) == 8)
    as<uint8_t>()[index] = encodeSmallFloat(dtype, value, false);
  else
    storeDouble(index, value);
}

void TensorView::storeInt(int64_t index, int64_t value) const {
  if (withNativeType(dtype, [&]<typename T>() { store(data, index, static_cast<T>(value)); }))
    return;
  if (dtype == DType::Bool) return store(data, index, static_cast<uint8_t>(value != 0));
  if (isComplex(dtype)) return storeComplex(index, static_cast<double>(value));
  if (isFloat(dtype)) return storeCode(*this, index, encodeFloat(dtype, value));
  storeCode(*this, index, static_cast<uint32_t>(value));
}

void TensorView::storeComplex(int64_t index, std::complex<double> value) const {
  if (dtype == DType::C64) {
    store(data, 2 * index, static_cast<float>(value.real()));
    store(data, 2 * index + 1, static_cast<float>(value.imag()));
  } else if (dtype == DType::C128) {
    store(data, 2 * index, value.real());
    store(data, 2 * index + 1, value.imag());
  } else if (dtype == DType::Bool) {
    store(data, index, static_cast<uint8_t>(value != std::complex<double>(0)));
  } else {
    storeDouble(index, value.real());
  }
}

Tensor::Tensor(DType dtype, std::vector<int64_t> dims)
    : dtype_(dtype),
      dims_(std::move(dims)),
      buffer_(Buffer::allocate(dtypeBytes(dtype, elementCount(dims_)))) {}

Tensor::Tensor(DType dtype, std::vector<int64_t> dims, std::shared_ptr<Buffer> buffer)
    : dtype_(dtype), dims_(std::move(dims)), buffer_(std::move(buffer)) {
  size_t needed = dtypeBytes(dtype_, elementCount(dims_));
  size_t given = buffer_ ? buffer_->bytes() : 0;
  if (!buffer_ || given < needed)
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("{} bytes for a tensor of {}", given, dtypeName(dtype_)),
                fmt::format("{} bytes", needed));
}

Tensor Tensor::ofInts(std::vector<int64_t> dims, std::span<const int64_t> values) {
  return from<int64_t>(DType::I64, std::move(dims), values);
}

Tensor Tensor::ofFloats(std::vector<int64_t> dims, std::span<const float> values) {
  return from<float>(DType::F32, std::move(dims), values);
}

Tensor Tensor::scalar(DType dtype, double value) {
  return from<double>(dtype, {}, std::span<const double>(&value, 1));
}

int64_t Tensor::count() const { return elementCount(dims_); }
size_t Tensor::bytes() const { return empty() ? 0 : dtypeBytes(dtype_, count()); }

TensorView Tensor::view() const {
  return {.data = buffer_ ? buffer_->data() : nullptr, .dtype = dtype_, .dims = dims_};
}

void Tensor::requireCount(int64_t given) const {
  if (given != count())
    throw Error(ErrorCode::InvalidArgument, fmt::format("{} values", given),
                fmt::format("{}, as the dims say", count()));
}

Tensor Tensor::reshaped(std::vector<int64_t> dims) const {
  Tensor result = *this;
  result.dims_ = std::move(dims);
  result.requireCount(count());
  return result;
}

std::vector<int64_t> Tensor::toInts() const {
  if (!isInteger(dtype_) && dtype_ != DType::Bool)
    throw Error(ErrorCode::InvalidArgument, fmt::format("a tensor of {}", dtypeName(dtype_)),
                "integers or bool");
  if (empty()) return {};
  std::vector<int64_t> values(static_cast<size_t>(count()));
  TensorView from = view();
  for (size_t i = 0; i < values.size(); ++i) values[i] = from.loadInt(static_cast<int64_t>(i));
  return values;
}

std::vector<double> Tensor::toDoubles() const {
  if (isComplex(dtype_))
    throw Error(ErrorCode::InvalidArgument, fmt::format("a tensor of {}", dtypeName(dtype_)),
                "a real type");
  if (empty()) return {};
  std::vector<double> values(static_cast<size_t>(count()));
  TensorView from = view();
  for (size_t i = 0; i < values.size(); ++i) values[i] = from.loadDouble(static_cast<int64_t>(i));
  return values;
}

namespace {

// The last byte of a packed tensor with the bits beyond its elements cleared; -1 when every bit of
// the tensor belongs to an element.
int partialLastByte(const Tensor& tensor) {
  int bits = dtypeBits(tensor.dtype());
  if (bits >= 8) return -1;
  auto used = static_cast<int>(tensor.count() % (8 / bits)) * bits;
  if (used == 0) return -1;
  auto last = static_cast<const uint8_t*>(tensor.data())[tensor.bytes() - 1];
  return last & ((1 << used) - 1);
}

}  // namespace

bool Tensor::sameBytes(const Tensor& other) const {
  if (dtype_ != other.dtype_ || dims_ != other.dims_ || empty() != other.empty()) return false;
  if (data() == other.data()) return true;
  int last = partialLastByte(*this);
  size_t whole = bytes() - (last >= 0);
  return std::memcmp(data(), other.data(), whole) == 0 && last == partialLastByte(other);
}

uint64_t Tensor::hash() const {
  uint64_t result = hash64(dims_.data(), dims_.size() * sizeof(int64_t), uint64_t(dtype_));
  if (empty()) return result;
  int last = partialLastByte(*this);
  result = hashCombine(result, hash64(data(), bytes() - (last >= 0)));
  return last >= 0 ? hashCombine(result, static_cast<uint64_t>(last)) : result;
}

}  // namespace carnot
