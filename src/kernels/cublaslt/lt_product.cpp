#include "kernels/cublaslt/lt_product.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace carnot {
namespace {

using cuda::CublasLt;

constexpr size_t kMostWorkspace = 32 << 20;
constexpr uint32_t kAlignment = 16;  // bytes that the first choice of algorithms asks for

// Where the library wants its workspace to start; more than an engine's memory is aligned to.
constexpr size_t kWorkspaceAlignment = 256;

CublasLt::DataType dataType(DType dtype) {
  switch (dtype) {
    case DType::F16:
      return CublasLt::F16;
    case DType::BF16:
      return CublasLt::BF16;
    case DType::F64:
      return CublasLt::F64;
    default:
      return CublasLt::F32;
  }
}

}  // namespace

LtProduct::LtProduct(const LtProductSpec& spec, int64_t choice) : spec_(spec) {
  describe();
  algorithm_ = choose(kAlignment, choice);
  unaligned_ = choose(static_cast<uint32_t>(dtypeBits(spec.dtype) / 8), choice);
}

LtProduct::~LtProduct() {
  const CublasLt& library = cuda::cublasLt();
  if (operation_) library.matmulDescDestroy(operation_);
  for (CublasLt::MatrixLayout layout : {left_, right_, out_})
    if (layout) library.matrixLayoutDestroy(layout);
}

size_t LtProduct::workspaceBytes() const {
  const size_t bytes = std::max(algorithm_.workspaceSize, unaligned_.workspaceSize);
  return bytes == 0 ? 0 : bytes + kWorkspaceAlignment;
}

// The library's matrices are column-major: what it computes is the transposed result, b first.
void LtProduct::describe() {
  const CublasLt& library = cuda::cublasLt();
  const CublasLt::DataType type = dataType(spec_.dtype);
  const bool wide = spec_.dtype == DType::F64;
  const CublasLt::ComputeType compute = wide         ? CublasLt::Compute64F
                                        : spec_.tf32 ? CublasLt::Compute32FTf32
                                                     : CublasLt::Compute32F;
  cuda::check(library.matmulDescCreate(&operation_, compute, wide ? CublasLt::F64 : CublasLt::F32),
              "operation");
  auto set = [&](CublasLt::MatmulAttribute attribute, auto value) {
    cuda::check(library.matmulDescSetAttribute(operation_, attribute, &value, sizeof value),
                "operation's attribute");
  };
  set(CublasLt::TransA, int32_t{spec_.transposeB});
  set(CublasLt::TransB, int32_t{spec_.transposeA});
  uint32_t epilogue = 0;
  if (spec_.activation == LtProductSpec::Activation::Relu) epilogue = CublasLt::Relu;
  if (spec_.activation == LtProductSpec::Activation::GeluTanh) epilogue = CublasLt::Gelu;
  if (spec_.bias != LtProductSpec::Bias::None) {
    epilogue |= CublasLt::Bias;
    set(CublasLt::BiasType, int32_t{type});
    set(CublasLt::BiasPointer, static_cast<const void*>(nullptr));
    if (spec_.bias == LtProductSpec::Bias::PerMatrixColumn && spec_.batch > 1)
      set(CublasLt::BiasBatchStride, spec_.n);
  }
  if (epilogue == 0) epilogue = CublasLt::Default;
  set(CublasLt::EpilogueKind, epilogue);
  auto layout = [&](CublasLt::MatrixLayout& made, int64_t rows, int64_t columns, int64_t stride) {
    cuda::check(library.matrixLayoutCreate(&made, type, static_cast<uint64_t>(rows),
                                           static_cast<uint64_t>(columns), rows),
                "matrix");
    if (spec_.batch == 1) return;
    const auto batch = static_cast<int32_t>(spec_.batch);
    cuda::check(library.matrixLayoutSetAttribute(made, CublasLt::BatchCount, &batch, sizeof batch),
                "batch");
    cuda::check(
        library.matrixLayoutSetAttribute(made, CublasLt::BatchStride, &stride, sizeof stride),
        "batch");
  };
  const auto [m, n, k] = std::array{spec_.m, spec_.n, spec_.k};
  layout(left_, spec_.transposeB ? k : n, spec_.transposeB ? n : k, spec_.strideB);
  layout(right_, spec_.transposeA ? m : k, spec_.transposeA ? k : m, spec_.strideA);
  layout(out_, n, m, m * n);
}

CublasLt::Heuristic LtProduct::choose(uint32_t alignment, int64_t choice) const {
  const CublasLt& library = cuda::cublasLt();
  CublasLt::Preference preference = nullptr;
  cuda::check(library.preferenceCreate(&preference), "preference");
  auto set = [&](CublasLt::PreferenceAttribute attribute, auto value) {
    library.preferenceSetAttribute(preference, attribute, &value, sizeof value);
  };
  set(CublasLt::MaxWorkspace, kMostWorkspace);
  for (auto operand : {CublasLt::AlignA, CublasLt::AlignB, CublasLt::AlignC, CublasLt::AlignD})
    set(operand, alignment);
  CublasLt::Heuristic found[kChoices] = {};
  int count = 0;
  const CublasLt::Status status =
      library.getHeuristic(cuda::cublasLtHandle(), operation_, left_, right_, out_, out_,
                           preference, static_cast<int>(kChoices), found, &count);
  library.preferenceDestroy(preference);
  if (status != 0 || count == 0)
    throw Error(ErrorCode::Unsupported,
                fmt::format("cuBLASLt has no algorithm for a product of {}x{} by {}x{}", spec_.m,
                            spec_.k, spec_.k, spec_.n));
  return found[std::min<int64_t>(choice, count - 1)];
}

void LtProduct::run(const void* a, const void* b, const void* bias, const void* residual, void* out,
                    void* workspace, Stream& stream) const {
  const CublasLt& library = cuda::cublasLt();
  // The bias is an attribute of the operation, which contexts share.
  std::unique_lock lock(mutex_, std::defer_lock);
  if (spec_.bias != LtProductSpec::Bias::None) {
    lock.lock();
    cuda::check(
        library.matmulDescSetAttribute(operation_, CublasLt::BiasPointer, &bias, sizeof bias),
        "bias");
  }
  if (!spec_.residual) residual = out;
  uintptr_t addresses = 0;
  for (const void* address : {a, b, residual, static_cast<const void*>(out)})
    addresses |= reinterpret_cast<uintptr_t>(address);
  if (spec_.bias != LtProductSpec::Bias::None) addresses |= reinterpret_cast<uintptr_t>(bias);
  const CublasLt::Heuristic& chosen = addresses % kAlignment == 0 ? algorithm_ : unaligned_;
  const auto scratch = (reinterpret_cast<uintptr_t>(workspace) + kWorkspaceAlignment - 1) /
                       kWorkspaceAlignment * kWorkspaceAlignment;
  const float one = 1, zero = 0;
  const double one64 = 1, zero64 = 0;
  const bool wide = spec_.dtype == DType::F64;
  const void* alpha = wide ? static_cast<const void*>(&one64) : &one;
  const void* none = wide ? static_cast<const void*>(&zero64) : &zero;
  cuda::check(
      library.matmul(cuda::cublasLtHandle(), operation_, alpha, b, left_, a, right_,
                     spec_.residual ? alpha : none, residual, out_, out, out_, &chosen.algorithm,
                     reinterpret_cast<void*>(scratch), chosen.workspaceSize, stream.native()),
      "product");
}

}  // namespace carnot
