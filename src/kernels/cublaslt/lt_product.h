#pragma once

#include <carnot/dtype.h>

#include <mutex>

#include "devices/cuda/cublaslt.h"
#include "devices/device.h"

namespace carnot {

// out = activation(a b + bias + residual), row-major, of `batch` products. a is [m, k], b [k, n],
// each transposed in memory where said; out and residual are dense.
struct LtProductSpec {
  enum class Bias : uint8_t { None, PerColumn, PerMatrixColumn };
  enum class Activation : uint8_t { None, Relu, GeluTanh };
  DType dtype = DType::F16;  // F16, BF16, F32 or F64 (without bias and activation)
  bool tf32 = false;
  bool transposeA = false, transposeB = false;
  int64_t m = 0, n = 0, k = 0;                  // each at least 1
  int64_t batch = 1, strideA = 0, strideB = 0;  // elements from one matrix to the next
  Bias bias = Bias::None;
  Activation activation = Activation::None;
  bool residual = false;
};

// Such a product by cuBLASLt, with the algorithm at place `choice` of its heuristic. Immutable:
// contexts share it.
class LtProduct {
 public:
  static constexpr int64_t kChoices = 6;  // that the library is asked for, the best first

  // Throws Error (Unsupported) where the library has no algorithm.
  LtProduct(const LtProductSpec& spec, int64_t choice);
  ~LtProduct();
  LtProduct(const LtProduct&) = delete;
  LtProduct& operator=(const LtProduct&) = delete;

  size_t workspaceBytes() const;
  // Addresses of elements; faster where they are multiples of 16. Issues work only.
  void run(const void* a, const void* b, const void* bias, const void* residual, void* out,
           void* workspace, Stream& stream) const;

 private:
  void describe();
  cuda::CublasLt::Heuristic choose(uint32_t alignment, int64_t choice) const;

  LtProductSpec spec_;
  mutable std::mutex mutex_;
  cuda::CublasLt::MatmulDesc operation_ = nullptr;
  cuda::CublasLt::MatrixLayout left_ = nullptr, right_ = nullptr, out_ = nullptr;
  // unaligned_: of an application's addresses that may be of any element.
  cuda::CublasLt::Heuristic algorithm_{}, unaligned_{};
};

}  // namespace carnot
