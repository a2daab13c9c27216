#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace carnot::cuda {

// cuBLASLt, opened at run time: libcublasLt.so. Its stable C interface, as far as used; the names
// are those of cublasLt.h without their prefixes.
struct CublasLt {
  using Status = int;  // 0 is success
  using Handle = struct OpaqueHandle*;
  using MatmulDesc = struct OpaqueMatmulDesc*;
  using MatrixLayout = struct OpaqueMatrixLayout*;
  using Preference = struct OpaquePreference*;
  struct Algorithm {
    uint64_t data[8];
  };
  struct Heuristic {
    Algorithm algorithm;
    size_t workspaceSize;
    Status state;
    float waves;
    int reserved[4];
  };
  enum DataType : int { F32 = 0, F64 = 1, F16 = 2, BF16 = 14 };  // CUDA_R_*
  enum ComputeType : int {
    Compute32F = 68,
    Compute64F = 70,
    Compute32FTf32 = 77
  };  // CUBLAS_COMPUTE_*
  enum MatmulAttribute : int {
    TransA = 3,
    TransB = 4,
    EpilogueKind = 7,
    BiasPointer = 8,
    BiasBatchStride = 10,
    BiasType = 26
  };
  enum LayoutAttribute : int { BatchCount = 5, BatchStride = 6 };
  enum PreferenceAttribute : int {
    MaxWorkspace = 1,
    AlignA = 5,
    AlignB = 6,
    AlignC = 7,
    AlignD = 8
  };
  enum Epilogue : uint32_t {
    Default = 1,
    Relu = 2,
    Bias = 4,
    Gelu = 32
  };  // sums of the last three

  Status (*create)(Handle*) = nullptr;
  size_t (*getVersion)() = nullptr;
  const char* (*getStatusString)(Status) = nullptr;
  Status (*matmulDescCreate)(MatmulDesc*, ComputeType, DataType scale) = nullptr;
  Status (*matmulDescDestroy)(MatmulDesc) = nullptr;
  Status (*matmulDescSetAttribute)(MatmulDesc, MatmulAttribute, const void*, size_t) = nullptr;
  Status (*matrixLayoutCreate)(MatrixLayout*, DataType, uint64_t rows, uint64_t columns,
                               int64_t leading) = nullptr;
  Status (*matrixLayoutDestroy)(MatrixLayout) = nullptr;
  Status (*matrixLayoutSetAttribute)(MatrixLayout, LayoutAttribute, const void*, size_t) = nullptr;
  Status (*preferenceCreate)(Preference*) = nullptr;
  Status (*preferenceDestroy)(Preference) = nullptr;
  Status (*preferenceSetAttribute)(Preference, PreferenceAttribute, const void*, size_t) = nullptr;
  Status (*getHeuristic)(Handle, MatmulDesc, MatrixLayout a, MatrixLayout b, MatrixLayout c,
                         MatrixLayout d, Preference, int wanted, Heuristic*, int* found) = nullptr;
  Status (*matmul)(Handle, MatmulDesc, const void* alpha, const void* a, MatrixLayout,
                   const void* b, MatrixLayout, const void* beta, const void* c, MatrixLayout,
                   void* d, MatrixLayout, const Algorithm*, void* workspace, size_t workspaceSize,
                   void* stream) = nullptr;
};

// Throws Error (Unsupported) where there is none.
const CublasLt& cublasLt();
CublasLt::Handle cublasLtHandle();  // of the process's device
std::string cublasLtVersion();      // "cuBLASLt 13.1.0", or "no cuBLASLt"
// Throws Error (Internal) naming `what` was done unless it succeeded.
void check(CublasLt::Status status, const char* what);

}  // namespace carnot::cuda
