// Matrix products through cuBLASLt: bias, residual, ReLU and GELU by tanh in the same kernel, any
// other pointwise tail in a generated one right behind.

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "devices/cuda/compile.h"
#include "kernels/cublaslt/lt_product.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/product.h"
#include "kernels/parameters.h"
#include "ops/mat_mul.h"
#include "ops/pointwise_activation.h"

namespace carnot {
namespace {

using Spread = Product::Spread;

// What the library does behind the product.
struct Epilogue {
  int bias = -1, residual = -1;  // operands of the tail
  LtProductSpec::Activation activation = LtProductSpec::Activation::None;
};

bool isZero(const ScalarNode& node) {
  const auto* value = std::get_if<double>(&node.value);
  return node.op == ScalarOp::Constant && value && *value == 0;
}

// The tail as such, when the library knows it all.
std::optional<Epilogue> matchEpilogue(const Product& product, const ScalarProgram& program) {
  if (product.dtype == DType::F64 || product.tail.out != product.dtype) return std::nullopt;
  Epilogue epilogue;
  uint16_t at = program.outputs[0];
  if (const ScalarNode& node = program.nodes[at]; node.op == ScalarOp::Max) {
    const bool first = isZero(program.nodes[node.args[0]]);
    if (!first && !isZero(program.nodes[node.args[1]])) return std::nullopt;
    at = node.args[first ? 1 : 0];
    epilogue.activation = LtProductSpec::Activation::Relu;
  }
  // A sum of the product and others.
  std::vector<uint16_t> terms{at};
  bool found = false;
  while (!terms.empty()) {
    const ScalarNode& node = program.nodes[terms.back()];
    terms.pop_back();
    if (node.op == ScalarOp::Add) {
      terms.push_back(node.args[0]);
      terms.push_back(node.args[1]);
      continue;
    }
    if (node.op != ScalarOp::Input) return std::nullopt;
    if (node.index == 0) {
      if (std::exchange(found, true)) return std::nullopt;
      continue;
    }
    const int operand = node.index - 1;
    const Spread spread = product.operands[operand].spread;
    if (product.tail.operands[operand].dtype != product.dtype) return std::nullopt;
    int* place = nullptr;
    if (spread == Spread::PerColumn || spread == Spread::PerMatrixColumn)
      place = &epilogue.bias;
    else if (spread == Spread::PerElement)
      place = &epilogue.residual;
    if (!place || *place >= 0) return std::nullopt;
    *place = operand;
  }
  if (!found) return std::nullopt;
  return epilogue;
}

std::optional<Epilogue> epilogueOf(const Problem& problem, const Product& product) {
  if (!product.hasTail()) return Epilogue{};
  // The library's GELU is the one by tanh; it goes where it stands last, behind no residual.
  const Region::Step& last = problem.region.steps.back();
  if (const auto* gelu = last.op.as<Gelu>(); gelu && gelu->approximate == "tanh") {
    Problem before = problem;
    before.region.steps.pop_back();
    before.region.outputs = {last.inputs[0]};
    const Region::Step* anchor = before.region.anchor();
    Epilogue epilogue;
    if (before.region.outputs[0] != anchor->firstOutput) {
      auto tail = pointwiseTail(before.region, anchor->firstOutput, before.tensorTypes());
      // The same operands, unless some are numbers.
      const bool same = tail && tail->operands.size() == product.operands.size();
      auto matched = same ? matchEpilogue(product, tail->program) : std::nullopt;
      if (!matched || matched->residual >= 0 ||
          matched->activation != LtProductSpec::Activation::None)
        return std::nullopt;
      epilogue = *matched;
    } else if (product.dtype == DType::F64) {
      return std::nullopt;
    }
    epilogue.activation = LtProductSpec::Activation::GeluTanh;
    return epilogue;
  }
  return matchEpilogue(product, product.tail.program);
}

// The generated kernel behind the product.
class Finish {
 public:
  Finish(const Product& product, const ProductShape& shape, const std::vector<int>& runtimeInputs,
         const DeviceTraits& device) {
    const cuda::ProductTail& tail = product.tail;
    int bytes = std::max(dtypeBits(tail.product), dtypeBits(tail.out)) / 8;
    for (const auto& operand : tail.operands) bytes = std::max(bytes, dtypeBits(operand.dtype) / 8);
    arguments_.matrices = shape.matrices();
    arguments_.rows = shape.m;
    arguments_.columns = shape.n;
    const int64_t outBytes = dtypeBits(tail.out) / 8;
    arguments_.tail.outRow = shape.n * outBytes;
    arguments_.tail.outMatrix = shape.m * shape.n * outBytes;
    for (size_t i = 0; i < product.operands.size(); ++i) {
      arguments_.tail.operands[i] = tailOperand(product, i, shape);
      positions_.push_back(positionOf(runtimeInputs, product.operands[i].input));
    }
    const int wide = std::clamp(16 / bytes, 1, 8);
    any_ = code(tail, 1, device);
    if (wide > 1 && shape.n % wide == 0) wide_ = code(tail, wide, device);
  }

  void run(const void* product, const RunArguments& arguments) const {
    cuda::FinishArguments all = arguments_;
    all.product = product;
    all.tail.out = arguments.outputs[0];
    uintptr_t addresses =
        reinterpret_cast<uintptr_t>(product) | reinterpret_cast<uintptr_t>(all.tail.out);
    for (size_t i = 0; i < positions_.size(); ++i) {
      all.tail.operands[i].address = arguments.inputs[positions_[i]];
      addresses |= reinterpret_cast<uintptr_t>(all.tail.operands[i].address);
    }
    const Code& code = wide_.function && addresses % 16 == 0 ? wide_ : any_;
    cuda::launch(code.function, code.shape, &all, *arguments.stream);
  }

 private:
  struct Code {
    std::shared_ptr<const cuda::Module> module;
    CUfunction function = nullptr;
    cuda::LaunchShape shape;
  };
  Code code(const cuda::ProductTail& tail, int vector, const DeviceTraits& device) const {
    Code made;
    made.module = cuda::moduleOf(cuda::finishSource(tail, vector));
    made.function = made.module->function(cuda::kFinishFunction);
    made.shape.threads = cuda::kFinishThreads;
    const int64_t units =
        arguments_.matrices * arguments_.rows * ((arguments_.columns + vector - 1) / vector);
    made.shape.blocks = static_cast<uint32_t>(
        std::min<int64_t>((units + cuda::kFinishThreads - 1) / cuda::kFinishThreads,
                          int64_t{device.multiprocessors} * 16));
    made.shape.overlapped = true;
    return made;
  }

  std::vector<size_t> positions_;
  cuda::FinishArguments arguments_;
  Code any_, wide_;
};

size_t roundUp(size_t bytes) { return (bytes + 255) / 256 * 256; }

class MatMulExecutable final : public Executable {
 public:
  MatMulExecutable(const Product& product, const std::optional<Epilogue>& epilogue,
                   const std::vector<int>& runtimeInputs, int64_t choice, ProductShape shape,
                   const DeviceTraits& device)
      : shape_(std::move(shape)),
        a_(positionOf(runtimeInputs, product.a)),
        b_(positionOf(runtimeInputs, product.b)),
        bytes_(dtypeBits(product.dtype) / 8) {
    if (shape_.empty()) return;
    if (!epilogue) {
      finish_.emplace(product, shape_, runtimeInputs, device);
      // In place, unless its elements are others.
      if (product.tail.out != product.dtype)
        productBytes_ = roundUp(static_cast<size_t>(shape_.matrices() * shape_.m * shape_.n) *
                                static_cast<size_t>(bytes_));
    }
    LtProductSpec spec{.dtype = product.dtype,
                       .tf32 = product.tf32,
                       .transposeA = product.transposeA,
                       .transposeB = product.transposeB,
                       .m = shape_.m,
                       .n = shape_.n,
                       .k = shape_.k};
    if (epilogue && epilogue->bias >= 0) {
      const Product::Operand& bias = product.operands[epilogue->bias];
      perMatrix_ = bias.spread == Spread::PerMatrixColumn;
      spec.bias =
          perMatrix_ ? LtProductSpec::Bias::PerMatrixColumn : LtProductSpec::Bias::PerColumn;
      bias_ = static_cast<int>(positionOf(runtimeInputs, bias.input));
      biasBytes_ = static_cast<size_t>((perMatrix_ ? shape_.matrices() : 1) * shape_.n * bytes_);
    }
    if (epilogue && epilogue->residual >= 0) {
      spec.residual = true;
      residual_ =
          static_cast<int>(positionOf(runtimeInputs, product.operands[epilogue->residual].input));
    }
    if (epilogue) spec.activation = epilogue->activation;
    const auto strideA = evenStride(shape_.aOffsets), strideB = evenStride(shape_.bOffsets);
    if (strideA && strideB) {
      spec.batch = shape_.matrices();
      spec.strideA = *strideA;
      spec.strideB = *strideB;
      calls_ = 1;
    } else {
      calls_ = shape_.matrices();
    }
    if (spec.k == 0) {
      // One element of zeros to sum over.
      spec.k = 1;
      spec.strideA = spec.strideB = 0;
      zeroBytes_ =
          roundUp(static_cast<size_t>(std::max(spec.m, spec.n)) * static_cast<size_t>(bytes_));
    }
    product_.emplace(spec, choice);
  }

  size_t workspaceBytes() const override {
    if (!product_) return 0;
    const size_t all =
        product_->workspaceBytes() + zeroBytes_ + productBytes_ + roundUp(biasBytes_);
    return all == 0 ? 0 : all + 256;
  }

  void run(const RunArguments& arguments) const override {
    if (!product_) return;
    const auto* a = static_cast<const std::byte*>(arguments.inputs[a_]);
    const auto* b = static_cast<const std::byte*>(arguments.inputs[b_]);
    auto* workspace =
        reinterpret_cast<std::byte*>(roundUp(reinterpret_cast<uintptr_t>(arguments.workspace)));
    auto* out = static_cast<std::byte*>(arguments.outputs[0]);
    if (productBytes_ > 0) out = std::exchange(workspace, workspace + productBytes_);
    const std::byte* zeros = nullptr;
    if (zeroBytes_ > 0) {
      zeros = std::exchange(workspace, workspace + zeroBytes_);
      cuda::check(
          cuda::driver().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(zeros), 0, zeroBytes_,
                                         static_cast<CUstream>(arguments.stream->native())),
          "clearing zeros to sum over");
    }
    auto input = [&](int position, int64_t offset) -> const std::byte* {
      if (position < 0) return nullptr;
      return static_cast<const std::byte*>(arguments.inputs[position]) + offset * bytes_;
    };
    const auto* bias = input(bias_, 0);
    // The library's kernels read a bias from aligned addresses alone.
    if (reinterpret_cast<uintptr_t>(bias) % 16 != 0) {
      auto* copy = std::exchange(workspace, workspace + roundUp(biasBytes_));
      cuda::check(cuda::driver().cuMemcpyDtoDAsync(
                      reinterpret_cast<CUdeviceptr>(copy), reinterpret_cast<CUdeviceptr>(bias),
                      biasBytes_, static_cast<CUstream>(arguments.stream->native())),
                  "copying a bias");
      bias = copy;
    }
    for (int64_t i = 0; i < calls_; ++i) {
      const int64_t place = i * shape_.m * shape_.n;
      product_->run(zeros ? zeros : a + shape_.aOffsets[i] * bytes_,
                    zeros ? zeros : b + shape_.bOffsets[i] * bytes_,
                    perMatrix_ ? bias + i * shape_.n * bytes_ : bias, input(residual_, place),
                    out + place * bytes_, workspace, *arguments.stream);
    }
    if (finish_) finish_->run(out, arguments);
  }

 private:
  ProductShape shape_;
  size_t a_, b_;
  int bias_ = -1, residual_ = -1;
  int64_t bytes_;
  bool perMatrix_ = false;
  int64_t calls_ = 0;
  size_t zeroBytes_ = 0, productBytes_ = 0, biasBytes_ = 0;
  std::optional<LtProduct> product_;
  std::optional<Finish> finish_;
};

class BoundMatMul final : public BoundKernel {
 public:
  explicit BoundMatMul(const BindArguments& arguments)
      : device_(arguments.device), stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analyzed = readProduct(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    product_ = std::get<Product>(analyzed);
    epilogue_ = epilogueOf(stored_.problem, product_);
    choice_ = parameter(stored_.configuration, "choice", 0, LtProduct::kChoices - 1);
    if (!arguments.weights.empty()) throwBadParameters("weights that the product does not have");
    inputs_ = presentInputs(stored_.problem);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(stored_, inputs_, shapes);
    const std::vector<int64_t> a = types[product_.a].shape.concrete(),
                               b = types[product_.b].shape.concrete();
    const int result = stored_.problem.region.anchor()->firstOutput;
    return std::make_unique<MatMulExecutable>(
        product_, epilogue_, inputs_, choice_,
        shapeProduct(product_, a, b, types[result].shape.concrete()), device_);
  }

 private:
  DeviceTraits device_;
  StoredProblem stored_;
  Product product_;
  std::optional<Epilogue> epilogue_;
  int64_t choice_ = 0;
  std::vector<int> inputs_;
};

class CublasLtMatMul final : public Kernel {
 public:
  std::string_view name() const override { return "cublaslt/matmul"; }
  uint32_t revision() const override { return 2; }

  Support supports(const Problem& problem) const override {
    auto analyzed = readProduct(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    try {
      cuda::cublasLt();
    } catch (const Error& error) {
      return Refusal{error.has()};
    }
    std::vector<Configuration> configurations;
    for (int64_t choice = 0; choice < LtProduct::kChoices; ++choice)
      configurations.push_back({{{"choice", choice}},
                                plainLayouts(problem.inputs.size()),
                                plainLayouts(problem.outputs.size())});
    return configurations;
  }

  // At about the speed that large products reach; the library's order among its choices.
  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const auto read = readProduct(problem);
    const auto& product = std::get<Product>(read);
    const Cost cost = costAt(problem, shapes);
    const bool half = product.dtype == DType::F16 || product.dtype == DType::BF16;
    const double rate = half ? 4.2e12 : product.tf32 ? 1.9e12 : 0.38e12;  // of a multiprocessor
    const double pass = epilogueOf(problem, product) ? 0 : 2e-6;
    return 5.5e-6 + pass +
           3e-7 *
               static_cast<double>(parameter(configuration, "choice", 0, LtProduct::kChoices - 1)) +
           std::max(cost.flops / (rate * problem.device.multiprocessors),
                    cost.bytes / problem.device.memoryBandwidth);
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
