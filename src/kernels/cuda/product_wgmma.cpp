// Products by constant weights on Hopper's tensor cores, generated with any pointwise tail. The
// weights are packed as shared memory takes them.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "codegen/cuda/wgmma_source.h"
#include "devices/cuda/compile.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/product.h"
#include "kernels/cuda/tf32.h"
#include "kernels/parameters.h"

namespace carnot {
namespace {

using cuda::WgmmaArguments;
using cuda::WgmmaVariant;

constexpr int64_t kMost = int64_t{1} << 30;  // of rows, columns and k

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The product with what its weights are.
struct Analysis {
  Product product;
  int64_t matrices = 1, k = 0, n = 0;  // of the weights
  int64_t elementBytes() const { return dtypeBits(product.dtype) / 8; }
  int64_t perPiece() const { return cuda::kPieceBytes / elementBytes(); }
  int64_t pieces() const { return ceilDivide(k, perPiece()); }
  int64_t columns() const { return ceilDivide(n, 8) * 8; }
  int64_t packedBytes() const { return matrices * pieces() * columns() * cuda::kPieceBytes; }
};

std::variant<Refusal, Analysis> analyze(const Problem& problem) {
  if (problem.device.computeCapability != 90)
    return Refusal{fmt::format("needs compute capability 9.0, not {}.{}",
                               problem.device.computeCapability / 10,
                               problem.device.computeCapability % 10)};
  auto read = readProduct(problem);
  if (auto* refusal = std::get_if<Refusal>(&read)) return *refusal;
  Analysis out{std::get<Product>(read)};
  const Product& product = out.product;
  if (product.dtype == DType::F32 && !product.tf32)
    return Refusal{"multiplies float32 as TF32, which is not allowed here"};
  if (product.dtype == DType::F64) return Refusal{"multiplies no float64"};
  if (product.transposeA) return Refusal{"reads the rows of the first operand as they lie"};
  const TensorDesc &a = problem.inputs[product.a], &b = problem.inputs[product.b];
  if (!b.constant) return Refusal{"packs constant weights"};
  for (const Product::Operand& operand : product.operands)
    if (operand.input == product.b) return Refusal{"reads the weights as such behind the product"};
  if (product.a == product.b) return Refusal{"packs constant weights"};
  std::vector<int64_t> dims;
  for (const Dim& dim : b.shape) {
    const auto size = dim.tryConstant();
    if (!size || *size < 1 || *size > kMost) return Refusal{"weights of other than fixed dims"};
    dims.push_back(*size);
  }
  if (dims.size() > 3) return Refusal{"weights of more than three dims"};
  if (dims.size() == 3) {
    out.matrices = dims[0];
    const bool shared = a.shape.rank() < 3 || a.shape[0] == Dim(1), own = a.shape[0] == b.shape[0];
    if (a.shape.rank() > 3 || (!shared && !own))
      return Refusal{"weights in a batch that is not the first operand's"};
    if (a.shape.rank() == 1) return Refusal{"a vector by several matrices"};
  }
  out.k = dims[dims.size() - (product.transposeB ? 1 : 2)];
  out.n = dims[dims.size() - (product.transposeB ? 2 : 1)];
  return out;
}

template <typename T>
void packMatrix(const Analysis& analysis, const T* from, std::byte* to) {
  const int64_t perUnit = 16 / static_cast<int64_t>(sizeof(T)), perPiece = analysis.perPiece();
  for (int64_t k = 0; k < analysis.k; ++k) {
    std::byte* piece = to + k / perPiece * analysis.columns() * cuda::kPieceBytes;
    const int64_t unit = k % perPiece / perUnit, within = k % perUnit;
    for (int64_t n = 0; n < analysis.n; ++n) {
      T value = analysis.product.transposeB ? from[n * analysis.k + k] : from[k * analysis.n + n];
      if constexpr (sizeof(T) == 4) value = cuda::roundedTf32(value);
      std::memcpy(piece + n * cuda::kPieceBytes + (unit ^ (n % 8)) * 16 +
                      within * static_cast<int64_t>(sizeof(T)),
                  &value, sizeof(T));
    }
  }
}

Tensor packed(const Analysis& analysis, const Tensor& weights) {
  Tensor result(DType::U8, {analysis.packedBytes()});
  auto* to = static_cast<std::byte*>(result.view().data);
  std::memset(to, 0, result.bytes());
  const auto* from = static_cast<const std::byte*>(weights.data());
  const int64_t size = analysis.packedBytes() / analysis.matrices;
  for (int64_t i = 0; i < analysis.matrices; ++i) {
    const std::byte* matrix = from + i * analysis.k * analysis.n * analysis.elementBytes();
    if (analysis.elementBytes() == 4)
      packMatrix(analysis, reinterpret_cast<const uint32_t*>(matrix), to + i * size);
    else
      packMatrix(analysis, reinterpret_cast<const uint16_t*>(matrix), to + i * size);
  }
  return result;
}

struct Tile {
  int rows, columns, split;
  friend bool operator==(const Tile&, const Tile&) = default;
};
constexpr Tile kTiles[] = {{64, 32, 1},   {64, 32, 2},   {64, 32, 4},   {64, 64, 1},
                           {64, 64, 2},   {64, 64, 4},   {64, 128, 1},  {128, 64, 1},
                           {128, 128, 1}, {128, 128, 2}, {128, 192, 1}, {128, 256, 1}};

WgmmaVariant variantOf(const Product& product, const Tile& tile) {
  WgmmaVariant variant{
      .dtype = product.dtype, .rows = tile.rows, .columns = tile.columns, .split = tile.split};
  // Two blocks on a multiprocessor where tiles are small enough.
  const int bytes = tile.rows + tile.columns <= 256 ? 108 << 10 : 200 << 10;
  variant.stages = std::clamp(bytes / variant.pieceBytes(), 2, 8);
  return variant;
}

class ProductExecutable final : public Executable {
 public:
  ProductExecutable(const Analysis& analysis, const Tile& tile, const void* weights,
                    const std::vector<int>& runtimeInputs, const ProductShape& shape) {
    if (shape.empty()) return;
    const Product& product = analysis.product;
    const WgmmaVariant variant = variantOf(product, tile);
    if (shape.matrices() * shape.m > kMost)
      throw Error(ErrorCode::Unsupported, "a product of more than 2^30 rows");
    left_ = positionOf(runtimeInputs, product.a);
    for (const Product::Operand& operand : product.operands)
      tail_.push_back(positionOf(runtimeInputs, operand.input));
    for (size_t i = 0; i < product.operands.size(); ++i)
      arguments_.tail.operands[i] = tailOperand(product, i, shape);
    const int64_t outBytes = dtypeBits(product.tail.out) / 8;
    arguments_.tail.outRow = shape.n * outBytes;
    arguments_.tail.outMatrix = shape.m * shape.n * outBytes;
    arguments_.weights = weights;
    // Matrices that share weights and do not lie as one.
    const bool sharedWeights = evenStride(shape.bOffsets) == 0;
    arguments_.weightMatrix = sharedWeights ? 0 : analysis.packedBytes() / analysis.matrices;
    const auto strideA = evenStride(shape.aOffsets), strideB = evenStride(shape.bOffsets);
    if (!strideA || !strideB || (*strideA != 0 && *strideA != shape.m * shape.k))
      throw Error(ErrorCode::Unsupported, "matrices that lie unevenly");
    arguments_.m = static_cast<int32_t>(shape.m);
    arguments_.n = static_cast<int32_t>(shape.n);
    arguments_.k = static_cast<int32_t>(shape.k);
    arguments_.leftMatrix = *strideA == 0 ? 0 : arguments_.m;
    arguments_.columns = static_cast<int32_t>(analysis.columns());
    rows_ = static_cast<uint64_t>(*strideA == 0 ? shape.m : shape.matrices() * shape.m);
    dtype_ = product.dtype;
    boxRows_ = static_cast<uint32_t>(tile.rows);
    const int64_t blocks = ceilDivide(shape.m, tile.rows) * ceilDivide(shape.n, tile.columns) *
                           shape.matrices() * tile.split;
    if (blocks >> 31 != 0) throw Error(ErrorCode::Unsupported, "a product of too many tiles");
    launch_ = {.blocks = static_cast<uint32_t>(blocks),
               .threads = static_cast<uint32_t>(variant.threads()),
               .sharedBytes = static_cast<uint32_t>(variant.sharedBytes()),
               .cluster = static_cast<uint32_t>(tile.split),
               .overlapped = true};
    module_ = cuda::moduleOf(cuda::wgmmaSource(variant, product.tail));
    function_ = module_->function(cuda::kWgmmaFunction);
    cuda::allowShared(function_, variant.sharedBytes());
  }

  void run(const RunArguments& arguments) const override {
    if (!function_) return;
    WgmmaArguments all = arguments_;
    all.left = arguments.inputs[left_];
    all.tail.out = arguments.outputs[0];
    auto addresses = reinterpret_cast<uintptr_t>(all.tail.out);
    for (size_t i = 0; i < tail_.size(); ++i) {
      all.tail.operands[i].address = arguments.inputs[tail_[i]];
      addresses |= reinterpret_cast<uintptr_t>(all.tail.operands[i].address);
    }
    all.wide = all.n % 8 == 0 && addresses % 16 == 0;
    all.mapped = encode(all);
    cuda::launch(function_, launch_, &all, *arguments.stream);
  }

 private:
  // Whether a tensor map can say how the left operand lies.
  bool encode(WgmmaArguments& all) const {
    const uint64_t rowBytes = static_cast<uint64_t>(all.k) * (dtypeBits(dtype_) / 8u);
    if (reinterpret_cast<uintptr_t>(all.left) % 16 != 0 || rowBytes % 16 != 0) return false;
    const CUtensorMapDataType type = dtype_ == DType::F32    ? CU_TENSOR_MAP_DATA_TYPE_TFLOAT32
                                     : dtype_ == DType::BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                             : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    const cuuint64_t dims[] = {static_cast<cuuint64_t>(all.k), rows_}, strides[] = {rowBytes};
    const cuuint32_t box[] = {cuda::kPieceBytes / (dtypeBits(dtype_) / 8u), boxRows_};
    const cuuint32_t steps[] = {1, 1};
    static_assert(sizeof(CUtensorMap) == sizeof all.map);
    cuda::check(
        cuda::driver().cuTensorMapEncodeTiled(
            reinterpret_cast<CUtensorMap*>(all.map), type, 2, const_cast<void*>(all.left), dims,
            strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
            CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
        "describing a tensor");
    return true;
  }

  size_t left_ = 0;
  std::vector<size_t> tail_;
  WgmmaArguments arguments_;
  uint64_t rows_ = 0;
  DType dtype_ = DType::F16;
  uint32_t boxRows_ = 0;
  cuda::LaunchShape launch_;
  std::shared_ptr<const cuda::Module> module_;
  CUfunction function_ = nullptr;
};

Tile tileOf(const Configuration& configuration) {
  auto value = [&](std::string_view name, int64_t most) {
    return static_cast<int>(parameter(configuration, name, 1, most));
  };
  const Tile tile{value("rows", 128), value("columns", 256), value("split", 8)};
  for (const Tile& known : kTiles)
    if (known == tile) return tile;
  throwBadParameters("a tile that the kernel does not have");
}

std::vector<int> inputsRead(const Problem& problem, const Product& product) {
  std::vector<int> inputs = presentInputs(problem);
  std::erase(inputs, product.b);
  return inputs;
}

class BoundProduct final : public BoundKernel {
 public:
  explicit BoundProduct(const BindArguments& arguments)
      : stored_(decodeProblem(arguments.parameters, arguments.device)) {
    auto analyzed = analyze(stored_.problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) throwBadParameters(refusal->reason);
    analysis_ = std::get<Analysis>(analyzed);
    tile_ = tileOf(stored_.configuration);
    if (arguments.weights.size() != 1 || arguments.weights[0].dtype != DType::U8 ||
        !std::ranges::equal(arguments.weights[0].dims, std::vector{analysis_.packedBytes()}))
      throwBadParameters("weights that are not the product's");
    weights_ = arguments.weights[0].data;
    inputs_ = inputsRead(stored_.problem, analysis_.product);
  }

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    const auto types = concreteTypes(stored_, inputs_, shapes);
    const Product& product = analysis_.product;
    const std::vector<int64_t> a = types[product.a].shape.concrete(),
                               b = types[product.b].shape.concrete();
    const int result = stored_.problem.region.anchor()->firstOutput;
    return std::make_unique<ProductExecutable>(
        analysis_, tile_, weights_, inputs_,
        shapeProduct(product, a, b, types[result].shape.concrete()));
  }

 private:
  StoredProblem stored_;
  Analysis analysis_;
  Tile tile_{};
  const void* weights_ = nullptr;
  std::vector<int> inputs_;
};

class CudaProduct final : public Kernel {
 public:
  std::string_view name() const override { return "cuda/product"; }

  Support supports(const Problem& problem) const override {
    auto analyzed = analyze(problem);
    if (auto* refusal = std::get_if<Refusal>(&analyzed)) return std::move(*refusal);
    std::vector<Configuration> configurations;
    for (const Tile& tile : kTiles)
      configurations.push_back({{{"columns", int64_t{tile.columns}},
                                 {"rows", int64_t{tile.rows}},
                                 {"split", int64_t{tile.split}}},
                                plainLayouts(problem.inputs.size()),
                                plainLayouts(problem.outputs.size())});
    return configurations;
  }

  // Waves of tiles; each piece of k takes as long as its multiplication or its way from the
  // second cache.
  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    const auto analyzed = analyze(problem);
    const auto& analysis = std::get<Analysis>(analyzed);
    const Product& product = analysis.product;
    const Tile tile = tileOf(configuration);
    std::vector<int64_t> weights{analysis.k, analysis.n};
    if (product.transposeB) std::swap(weights[0], weights[1]);
    if (analysis.matrices > 1) weights.insert(weights.begin(), analysis.matrices);
    const std::vector<int64_t>& a = shapes.inputs[static_cast<size_t>(product.a)];
    double rows = 1;
    for (size_t axis = 0; axis + 1 < a.size(); ++axis) rows *= static_cast<double>(a[axis]);
    if (analysis.matrices > 1 && a.size() == 3 && a[0] > 1)
      rows /= static_cast<double>(analysis.matrices);
    const double down = std::max(1.0, std::ceil(rows / tile.rows));
    const double blocks = down * static_cast<double>(ceilDivide(analysis.n, tile.columns)) *
                          static_cast<double>(analysis.matrices) * tile.split;
    const double pieces = std::ceil(static_cast<double>(analysis.pieces()) / tile.split);
    const double multiplied =
        tile.rows * tile.columns / 32.0 * (product.dtype == DType::F32 ? 2 : 1);
    const double loaded = (tile.rows + tile.columns) * 128.0 / 50;
    constexpr double kClock = 1.75e9;
    const double waves = blocks / problem.device.multiprocessors;
    const double time = pieces * std::max(multiplied, loaded) / kClock + 1e-6;
    const double all = waves <= 1                       ? time
                       : tile.rows + tile.columns > 256 ? 1.35 * std::ceil(waves) * time
                                                        : 1.35 * waves * time;
    // Rows that no tensor map describes are read element by element.
    const bool mapped = analysis.k * analysis.elementBytes() % 16 == 0;
    return 1.5e-6 + (tile.split > 1 ? 1e-6 : 0) + (mapped ? 1 : 20) * all;
  }

  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    const auto analyzed = analyze(problem);
    const auto* analysis = std::get_if<Analysis>(&analyzed);
    ensure(analysis != nullptr, "a kernel prepares what it supports");
    Prepared prepared{
        encodeProblem(problem, configuration), {}, inputsRead(problem, analysis->product)};
    prepared.weights.push_back(
        packed(*analysis, *problem.inputs[static_cast<size_t>(analysis->product.b)].constant));
    return prepared;
  }

  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundProduct>(arguments);
  }
};

}  // namespace

const Kernel& cudaProduct() {
  static const CudaProduct kernel;
  return kernel;
}

}  // namespace carnot
