#pragma once

#include <carnot/dtype.h>

#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace carnot {

// Bytes aligned to 64, shared and immutable once published. May own memory or keep a mapping alive.
class Buffer {
 public:
  static std::shared_ptr<Buffer> allocate(size_t bytes);  // uninitialized; throws OutOfMemory
  static std::shared_ptr<Buffer> borrow(void* data, size_t bytes, std::shared_ptr<void> keepAlive);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() { return data_; }
  const void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  Buffer(void* data, size_t bytes, std::shared_ptr<void> keepAlive, bool owned)
      : data_(data), bytes_(bytes), keepAlive_(std::move(keepAlive)), owned_(owned) {}
  void* data_;
  size_t bytes_;
  std::shared_ptr<void> keepAlive_;
  bool owned_;
};

// A dense row-major tensor seen, not owned. Elements are read and written through double, int64 or
// complex, so that reference code has one form for every type.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::F32;
  std::span<const int64_t> dims;

  int64_t count() const;
  size_t bytes() const;

  double loadDouble(int64_t index) const;
  int64_t loadInt(int64_t index) const;  // exact for every integer type; U64 wraps
  std::complex<double> loadComplex(int64_t index) const;
  bool loadBool(int64_t index) const;
  // To a float: rounds to nearest even, once; float8 saturates. To an integer: truncates, then
  // keeps the low bits; NaN and what int64 cannot hold store as int64's minimum would. To Bool:
  // nonzero.
  void storeDouble(int64_t index, double value) const;
  // A value that is of the type already: an infinity stays one where storeDouble would saturate.
  void storeRounded(int64_t index, double value) const;
  void storeInt(int64_t index, int64_t value) const;
  void storeComplex(int64_t index, std::complex<double> value) const;

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// A tensor that owns (or shares) its bytes: constants of the graph, arrays at the API.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, std::vector<int64_t> dims);  // allocates, uninitialized
  Tensor(DType dtype, std::vector<int64_t> dims, std::shared_ptr<Buffer> buffer);
  template <typename T>
  static Tensor from(DType dtype, std::vector<int64_t> dims, std::span<const T> values);
  static Tensor ofInts(std::vector<int64_t> dims, std::span<const int64_t> values);  // I64
  static Tensor ofFloats(std::vector<int64_t> dims, std::span<const float> values);  // F32
  static Tensor scalar(DType dtype, double value);                                   // rank 0

  bool empty() const { return buffer_ == nullptr; }
  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& dims() const { return dims_; }
  int64_t count() const;
  size_t bytes() const;
  TensorView view() const;  // writable only until the tensor is published
  template <typename T>
  T* as() const {
    return static_cast<T*>(buffer_->data());
  }
  const void* data() const { return buffer_ ? buffer_->data() : nullptr; }
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  Tensor reshaped(std::vector<int64_t> dims) const;  // same bytes, same count

  std::vector<int64_t> toInts() const;  // any integer or Bool type
  std::vector<double> toDoubles() const;
  bool sameBytes(const Tensor& other) const;  // dtype, dims and contents
  uint64_t hash() const;                      // of dtype, dims and contents

 private:
  void requireCount(int64_t given) const;  // throws Error (InvalidArgument) when it is another

  DType dtype_ = DType::F32;
  std::vector<int64_t> dims_;
  std::shared_ptr<Buffer> buffer_;
};

// Conversions of single values, bit-exact with ONNX (round to nearest even, NaN kept).
float halfToFloat(uint16_t bits);
uint16_t floatToHalf(float value);
float bfloat16ToFloat(uint16_t bits);
uint16_t floatToBfloat16(float value);
// Codes of the types of 8 bits or less ↔ value; saturate = ONNX Cast's attribute.
double decodeSmallFloat(DType type, uint8_t code);
// A code of F4E2M1 lies in the low four bits. Rounding of F8E8M0 is Cast's round_mode; others round
// to nearest even.
enum class ScaleRounding : uint8_t { Up, Down, Nearest };  // Nearest: ties up
uint8_t encodeSmallFloat(DType type, double value, bool saturate,
                         ScaleRounding rounding = ScaleRounding::Up);

template <typename T>
Tensor Tensor::from(DType dtype, std::vector<int64_t> dims, std::span<const T> values) {
  Tensor tensor(dtype, std::move(dims));
  tensor.requireCount(static_cast<int64_t>(values.size()));
  TensorView view = tensor.view();
  for (int64_t index = 0; const T& value : values) {
    if constexpr (std::is_floating_point_v<T>) {
      view.storeDouble(index++, value);
    } else if constexpr (std::is_integral_v<T>) {
      view.storeInt(index++, static_cast<int64_t>(value));
    } else {
      view.storeComplex(index++, value);
    }
  }
  return tensor;
}

}  // namespace carnot
