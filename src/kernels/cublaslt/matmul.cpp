// Matrix products through cuBLASLt, a bias and a ReLU behind them in the same kernel.

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "base/error.h"
#include "devices/cuda/cublaslt.h"
#include "devices/cuda/driver.h"
#include "kernels/parameters.h"
#include "ops/mat_mul.h"

namespace carnot {
namespace {

using cuda::CublasLt;

constexpr int64_t kChoices = 4;  // of the library's heuristic, the best first
constexpr size_t kMostWorkspace = 32 << 20;
constexpr uint32_t kAlignment = 16;  // bytes that the first choice of algorithms asks for

// Where the library wants its workspace to start; more than an engine's memory is aligned to.
constexpr size_t kWorkspaceAlignment = 256;
size_t roundUp(size_t bytes) {
  return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
}

// A product with its tail, as the library knows it.
struct Product {
  int a = 0, b = 0, bias = -1;  // inputs of the region; -1: none
  bool transposeA = false, transposeB = false, relu = false;
  bool rowAxis = true;  // a is no vector
  DType dtype = DType::F32;
};

// The tail as bias and ReLU behind Input 0.
struct Tail {
  int bias = -1;  // Input of the program; -1: none
  bool relu = false;
};
std::optional<Tail> matchTail(const ScalarProgram& program) {
  if (program.outputs.size() != 1) return std::nullopt;
  Tail tail;
  uint16_t at = program.outputs[0];
  auto isZero = [&](uint16_t node) {
    const ScalarNode& constant = program.nodes[node];
    const auto* value = std::get_if<double>(&constant.value);
    return constant.op == ScalarOp::Constant && value && *value == 0;
  };
  auto isInput = [&](uint16_t node) { return program.nodes[node].op == ScalarOp::Input; };
  if (const ScalarNode& node = program.nodes[at]; node.op == ScalarOp::Max) {
    if (isZero(node.args[1]))
      at = node.args[0];
    else if (isZero(node.args[0]))
      at = node.args[1];
    else
      return std::nullopt;
    tail.relu = true;
  }
  if (const ScalarNode& node = program.nodes[at]; node.op == ScalarOp::Add) {
    if (!isInput(node.args[0]) || !isInput(node.args[1])) return std::nullopt;
    const int first = program.nodes[node.args[0]].index, second = program.nodes[node.args[1]].index;
    if ((first == 0) == (second == 0)) return std::nullopt;
    tail.bias = first == 0 ? second : first;
    return tail;
  }
  if (!isInput(at) || program.nodes[at].index != 0) return std::nullopt;
  return tail;
}

bool isColumnVector(const Shape& shape, const Dim& columns) {
  for (size_t axis = 0; axis + 1 < shape.rank(); ++axis)
    if (shape[axis].tryConstant() != 1) return false;
  return shape.rank() > 0 && shape[shape.rank() - 1] == columns;
}

std::variant<Refusal, Product> productOf(const Problem& problem) {
  const Region& region = problem.region;
  const Region::Step* anchor = region.anchor();
  const MatMul* op = anchor ? anchor->op.as<MatMul>() : nullptr;
  if (!op) return Refusal{fmt::format("multiplies matrices, not {}", region.label())};
  Product product{.a = anchor->inputs[0],
                  .b = anchor->inputs[1],
                  .transposeA = op->transposeA,
                  .transposeB = op->transposeB};
  if (!region.isInput(product.a) || !region.isInput(product.b))
    return Refusal{"computes nothing before the product"};
  const TensorDesc &a = problem.inputs[product.a], &b = problem.inputs[product.b];
  product.dtype = a.dtype;
  if (a.dtype != DType::F32 && a.dtype != DType::F16 && a.dtype != DType::BF16 &&
      a.dtype != DType::F64)
    return Refusal{fmt::format("multiplies floats, not {}", dtypeName(a.dtype))};
  if (b.shape.rank() < 2) return Refusal{"the second operand is a vector"};
  product.rowAxis = a.shape.rank() > 1;
  const Dim& k = a.shape[a.shape.rank() - (op->transposeA ? 2 : 1)];
  if (k.tryConstant() == 0) return Refusal{"sums nothing"};
  const std::vector<TensorType> types = problem.tensorTypes();
  const int from = anchor->firstOutput;
  const TensorType& result = types[from];
  if (region.outputs.size() == 1 && region.outputs[0] == from) return product;
  auto tail = pointwiseTail(region, from, types);
  if (!tail || region.outputs.size() != 1) return Refusal{"the steps behind it are not pointwise"};
  auto matched = matchTail(tail->program);
  if (!matched || types[region.outputs[0]] != result)
    return Refusal{"adds a vector and applies a ReLU behind the product, nothing else"};
  product.relu = matched->relu;
  if (matched->bias < 0) return product;
  product.bias = tail->operands[matched->bias - 1];
  if (!region.isInput(product.bias) ||
      !isColumnVector(problem.inputs[product.bias].shape, result.shape[result.shape.rank() - 1]))
    return Refusal{"adds one value a column"};
  if (product.dtype == DType::F64) return Refusal{"adds no float64 vector"};
  return product;
}

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

// Where each matrix of the batch starts in an operand that broadcasts over it, in elements.
std::vector<int64_t> matrixOffsets(std::span<const int64_t> dims, size_t matrixAxes,
                                   std::span<const int64_t> batch) {
  const auto leading = dims.first(dims.size() - matrixAxes);
  int64_t stride = elementCount(dims.last(matrixAxes));
  std::vector<int64_t> strides(batch.size(), 0);
  for (size_t i = leading.size(); i-- > 0; stride *= leading[i])
    if (leading[i] != 1) strides[batch.size() - leading.size() + i] = stride;
  std::vector<int64_t> offsets(static_cast<size_t>(elementCount(batch)), 0);
  for (size_t i = 0; i < offsets.size(); ++i) {
    auto rest = static_cast<int64_t>(i);
    for (size_t axis = batch.size(); axis-- > 0; rest /= batch[axis])
      offsets[i] += rest % batch[axis] * strides[axis];
  }
  return offsets;
}

// The distance between matrices when they lie evenly.
std::optional<int64_t> evenStride(const std::vector<int64_t>& offsets) {
  const int64_t stride = offsets.size() > 1 ? offsets[1] - offsets[0] : 0;
  for (size_t i = 0; i < offsets.size(); ++i)
    if (offsets[i] != stride * static_cast<int64_t>(i)) return std::nullopt;
  return stride;
}

class MatMulExecutable final : public Executable {
 public:
  MatMulExecutable(const Product& product, const std::vector<int>& runtimeInputs, int64_t choice,
                   std::span<const int64_t> a, std::span<const int64_t> b,
                   std::span<const int64_t> result)
      : product_(product),
        a_(positionOf(runtimeInputs, product.a)),
        b_(positionOf(runtimeInputs, product.b)),
        bias_(product.bias < 0 ? 0 : positionOf(runtimeInputs, product.bias)) {
    const size_t matrixAxes = product.rowAxis ? 2 : 1;
    n_ = result.back();
    k_ = a[a.size() - (product.transposeA ? 2 : 1)];
    m_ = product.rowAxis ? a[a.size() - (product.transposeA ? 1 : 2)] : 1;
    auto batch = result.first(result.size() - matrixAxes);
    aOffsets_ = matrixOffsets(a, matrixAxes, batch);
    bOffsets_ = matrixOffsets(b, 2, batch);
    if (m_ == 0 || n_ == 0 || aOffsets_.empty()) {
      aOffsets_.clear();
      return;
    }
    joinBatch();
    if (k_ == 0) {
      // One element of zeros to sum over.
      k_ = 1;
      zeroBytes_ = roundUp(static_cast<size_t>(std::max(m_, n_)) *
                           static_cast<size_t>(dtypeBits(product.dtype) / 8));
    }
    describe();
    algorithm_ = choose(kAlignment, choice);
    // Of an application's address that may start at any element.
    unaligned_ = choose(static_cast<uint32_t>(dtypeBits(product_.dtype) / 8), choice);
  }

  ~MatMulExecutable() override {
    const CublasLt& library = cuda::cublasLt();
    if (operation_) library.matmulDescDestroy(operation_);
    for (CublasLt::MatrixLayout layout : {left_, right_, out_})
      if (layout) library.matrixLayoutDestroy(layout);
  }

  size_t workspaceBytes() const override {
    const size_t library = std::max(algorithm_.workspaceSize, unaligned_.workspaceSize);
    return library + zeroBytes_ == 0 ? 0 : zeroBytes_ + library + kWorkspaceAlignment;
  }

  void run(const RunArguments& arguments) const override {
    const CublasLt& library = cuda::cublasLt();
    const auto bytes = static_cast<int64_t>(dtypeBits(product_.dtype) / 8);
    const auto* a = static_cast<const std::byte*>(arguments.inputs[a_]);
    const auto* b = static_cast<const std::byte*>(arguments.inputs[b_]);
    auto* result = static_cast<std::byte*>(arguments.outputs[0]);
    // The bias is an attribute of the operation, which contexts share.
    std::unique_lock lock(mutex_, std::defer_lock);
    if (product_.bias >= 0) {
      lock.lock();
      const void* bias = arguments.inputs[bias_];
      cuda::check(
          library.matmulDescSetAttribute(operation_, CublasLt::BiasPointer, &bias, sizeof bias),
          "bias");
    }
    auto* workspace =
        reinterpret_cast<std::byte*>(roundUp(reinterpret_cast<uintptr_t>(arguments.workspace)));
    std::byte* zeros = nullptr;
    if (zeroBytes_ > 0) {
      zeros = workspace;
      workspace += zeroBytes_;
      cuda::check(
          cuda::driver().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(zeros), 0, zeroBytes_,
                                         static_cast<CUstream>(arguments.stream->native())),
          "clearing zeros to sum over");
    }
    auto aligned = [](const void* address) {
      return reinterpret_cast<uintptr_t>(address) % kAlignment == 0;
    };
    for (size_t i = 0; i < aOffsets_.size(); ++i) {
      const std::byte* left = zeros ? zeros : b + bOffsets_[i] * bytes;
      const std::byte* right = zeros ? zeros : a + aOffsets_[i] * bytes;
      std::byte* out = result + static_cast<int64_t>(i) * m_ * n_ * bytes;
      const bool usual = aligned(left) && aligned(right) && aligned(out);
      const CublasLt::Heuristic& chosen = usual ? algorithm_ : unaligned_;
      const float one = 1, zero = 0;
      const double one64 = 1, zero64 = 0;
      const bool wide = product_.dtype == DType::F64;
      cuda::check(library.matmul(cuda::cublasLtHandle(), operation_,
                                 wide ? static_cast<const void*>(&one64) : &one, left, left_, right,
                                 right_, wide ? static_cast<const void*>(&zero64) : &zero, out,
                                 out_, out, out_, &chosen.algorithm, workspace,
                                 chosen.workspaceSize, arguments.stream->native()),
                  "product");
    }
  }

 private:
  // Matrices of a batch that share b are one taller matrix; those that lie evenly, one batch.
  void joinBatch() {
    const auto count = static_cast<int64_t>(aOffsets_.size());
    const auto strideA = evenStride(aOffsets_), strideB = evenStride(bOffsets_);
    if (!strideA || !strideB) return;
    if (*strideB == 0 && !product_.transposeA && (count == 1 || *strideA == m_ * k_)) {
      m_ *= count;
    } else {
      batch_ = static_cast<int>(count);
      strideA_ = *strideA;
      strideB_ = *strideB;
    }
    aOffsets_ = bOffsets_ = {0};
  }

  // The library's matrices are column-major: what it computes is the transposed result, b first.
  void describe() {
    const CublasLt& library = cuda::cublasLt();
    const CublasLt::DataType type = dataType(product_.dtype);
    const bool wide = product_.dtype == DType::F64;
    cuda::check(
        library.matmulDescCreate(&operation_, wide ? CublasLt::Compute64F : CublasLt::Compute32F,
                                 wide ? CublasLt::F64 : CublasLt::F32),
        "operation");
    auto set = [&](CublasLt::MatmulAttribute attribute, auto value) {
      cuda::check(library.matmulDescSetAttribute(operation_, attribute, &value, sizeof value),
                  "operation's attribute");
    };
    set(CublasLt::TransA, int32_t{product_.transposeB});
    set(CublasLt::TransB, int32_t{product_.transposeA});
    uint32_t epilogue = product_.relu ? uint32_t{CublasLt::Relu} : 0;
    if (product_.bias >= 0) {
      epilogue |= CublasLt::Bias;
      set(CublasLt::BiasType, int32_t{type});
      set(CublasLt::BiasPointer, static_cast<const void*>(nullptr));
    }
    if (epilogue == 0) epilogue = CublasLt::Default;
    set(CublasLt::EpilogueKind, epilogue);
    auto layout = [&](CublasLt::MatrixLayout& made, int64_t rows, int64_t columns, int64_t stride) {
      cuda::check(library.matrixLayoutCreate(&made, type, static_cast<uint64_t>(rows),
                                             static_cast<uint64_t>(columns), rows),
                  "matrix");
      if (batch_ == 1) return;
      const int32_t count = batch_;
      cuda::check(
          library.matrixLayoutSetAttribute(made, CublasLt::BatchCount, &count, sizeof count),
          "batch");
      cuda::check(
          library.matrixLayoutSetAttribute(made, CublasLt::BatchStride, &stride, sizeof stride),
          "batch");
    };
    layout(left_, product_.transposeB ? k_ : n_, product_.transposeB ? n_ : k_, strideB_);
    layout(right_, product_.transposeA ? m_ : k_, product_.transposeA ? k_ : m_, strideA_);
    layout(out_, n_, m_, m_ * n_);
  }

  CublasLt::Heuristic choose(uint32_t alignment, int64_t choice) const {
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
      throw Error(
          ErrorCode::Unsupported,
          fmt::format("cuBLASLt has no algorithm for a product of {}x{} by {}x{}", m_, k_, k_, n_));
    return found[std::min<int64_t>(choice, count - 1)];
  }

  const Product& product_;
  size_t a_, b_, bias_;
  int64_t m_ = 1, n_ = 0, k_ = 0, strideA_ = 0, strideB_ = 0;
  int batch_ = 1;
  size_t zeroBytes_ = 0;
  std::vector<int64_t> aOffsets_, bOffsets_;  // of each call, in elements; none: nothing to do
  mutable std::mutex mutex_;
  CublasLt::MatmulDesc operation_ = nullptr;
  CublasLt::MatrixLayout left_ = nullptr, right_ = nullptr, out_ = nullptr;
  CublasLt::Heuristic algorithm_{}, unaligned_{};
};

class BoundMatMul final : public BoundKernel {
 public:
  explicit BoundMatMul(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analyzed = productOf(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    product_ = std::get<Product>(analyzed);
    choice_ = parameter(stored_.configuration, "choice", 0, kChoices - 1);
    if (!arguments.weights.empty()) throwBadParameters("weights that the product does not have");
    inputs_ = presentInputs(stored_.problem);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(stored_, inputs_, shapes);
    const std::vector<int64_t> a = types[product_.a].shape.concrete(),
                               b = types[product_.b].shape.concrete();
    const int result = stored_.problem.region.anchor()->firstOutput;
    return std::make_unique<MatMulExecutable>(product_, inputs_, choice_, a, b,
                                              types[result].shape.concrete());
  }

 private:
  StoredProblem stored_;
  Product product_;
  int64_t choice_ = 0;
  std::vector<int> inputs_;
};

class CublasLtMatMul final : public Kernel {
 public:
  std::string_view name() const override { return "cublaslt/matmul"; }

  Support supports(const Problem& problem) const override {
    auto analyzed = productOf(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    try {
      cuda::cublasLt();
    } catch (const Error& error) {
      return Refusal{error.has()};
    }
    std::vector<Configuration> configurations;
    for (int64_t choice = 0; choice < kChoices; ++choice)
      configurations.push_back({{{"choice", choice}},
                                plainLayouts(problem.inputs.size()),
                                plainLayouts(problem.outputs.size())});
    return configurations;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return {encodeProblem(problem, configuration), {}, presentInputs(problem)};
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundMatMul>(arguments);
  }
};

}  // namespace

const Kernel& cublasLtMatMul() {
  static const CublasLtMatMul kernel;
  return kernel;
}

}  // namespace carnot
