#include <array>

#include "base/error.h"
#include "ops/gather.h"
#include "ops/mat_mul.h"
#include "ops/onnx_axes.h"
#include "ops/onnx_microsoft.h"
#include "ops/onnx_nested.h"
#include "ops/pointwise_binary.h"
#include "ops/quantize_linear.h"

namespace carnot {

namespace {

int64_t quotientUp(int64_t a, int64_t b) { return a / b + (a % b != 0); }

using Ref = OnnxNode::Ref;

// x [m, batch..., n] as [batch..., m, n].
Ref batchFirst(OnnxNode& node, Ref x) {
  const auto rank = static_cast<int64_t>(node.rankOf(x));
  std::vector<int64_t> perm;
  for (int64_t i = 1; i + 1 < rank; ++i) perm.push_back(i);
  perm.push_back(0);
  perm.push_back(rank - 1);
  return rank < 3 ? x : emitTranspose(node, x, perm);
}

// --- integers of a few bits, packed into bytes, the first in the low bits

DType packedType(const OnnxNode& node, int64_t bits) {
  if (bits == 2) return DType::U2;
  if (bits == 4) return DType::U4;
  if (bits == 8) return DType::U8;
  node.unsupported(fmt::format("weights of {} bits", bits), "2, 4 or 8");
}

// Constant bytes [rows, bytes], each row packed for itself, as integers [rows, count].
Tensor unpacked(const OnnxNode& node, size_t input, DType type, int64_t rows, int64_t count) {
  const Tensor* bytes = node.constantOf(node.requireInput(input));
  if (!bytes) node.unsupported(fmt::format("input {} computed at run time", input), "a constant");
  const int64_t bits = dtypeBits(type), width = quotientUp(count * bits, 8);
  if (dtypeBits(bytes->dtype()) != 8 || bytes->count() != rows * width)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("input {}: {} of {}", input, bytes->count(), dtypeName(bytes->dtype())),
                fmt::format("{} bytes", rows * width));
  if (count * bits % 8 == 0) return Tensor(type, {rows, count}, bytes->buffer());
  Tensor integers(type, {rows, count});
  const auto* from = static_cast<const uint8_t*>(bytes->data());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < count; ++i) {
      const int64_t bit = i * bits;
      integers.view().storeInt(row * count + i,
                               from[row * width + bit / 8] >> (bit % 8) & ((1 << bits) - 1));
    }
  return integers;
}

// a times the transpose of w, and input `bias` if there is one.
void setProduct(OnnxNode& node, Ref a, Ref w, size_t bias) {
  Ref y = node.emit(Operator::of(MatMul{.transposeB = true}), {a, w});
  if (node.hasInput(bias)) y = node.emit(Operator::of(Add{}), {y, node.input(bias)});
  node.setOutput(0, y);
}

int64_t requireAttribute(const OnnxNode& node, std::string_view name) {
  const int64_t value = node.attributeInt(name, 0);
  if (value < 1 || value > int64_t{1} << 40)
    throw Error(ErrorCode::InvalidModel, fmt::format("{} {}", name, value), "1 or more");
  return value;
}

}  // namespace

void importFusedMatMul(OnnxNode& node) {
  Ref a = node.requireInput(0), b = node.requireInput(1);
  if (node.attributeInt("transBatchA", 0) != 0) a = batchFirst(node, a);
  if (node.attributeInt("transBatchB", 0) != 0) b = batchFirst(node, b);
  // The transposes leave vectors as they are.
  const MatMul product{.transposeA = node.attributeInt("transA", 0) != 0 && node.rankOf(a) > 1,
                       .transposeB = node.attributeInt("transB", 0) != 0 && node.rankOf(b) > 1};
  Ref y = node.emit(Operator::of(product), {a, b});
  const double alpha = node.attributeFloat("alpha", 1);
  if (alpha != 1) y = node.emit(Operator::of(Mul{}), {y, scalarLike(node, y, alpha)});
  node.setOutput(0, y);
}

void importFusedGemm(OnnxNode& node) {
  const Ref y = importNested(node, "Gemm", 13,
                             {node.requireInput(0), node.requireInput(1), node.input(2)})[0];
  std::vector<double> parameters;
  for (std::string_view name : {"activation_alpha", "activation_beta"})
    if (node.hasAttribute(name)) parameters.push_back(node.attributeFloat(name, 0));
  node.setOutput(0, emitActivation(node, y, parameters));
}

void importMatMulNBits(OnnxNode& node) {
  const Ref a = node.requireInput(0);
  const int64_t k = requireAttribute(node, "K"), n = requireAttribute(node, "N");
  const int64_t block = requireAttribute(node, "block_size"), blocks = quotientUp(k, block);
  const int64_t bits = node.attributeInt("bits", 4);
  const DType type = packedType(node, bits), to = node.dtypeOf(a);
  if (node.attributeInt("weight_prepacked", 0) != 0)
    node.unsupported("weights packed for one kernel", "weights in order");
  Ref w = node.constant(unpacked(node, 1, type, n * blocks, block).reshaped({n, blocks, block}));
  const Ref given = node.input(3);
  if (const Ref groups = node.input(4)) {
    // The block that each column takes scale and zero point of.
    const auto byColumn = [&](Ref x) {
      x = node.emit(Operator::of(Gather{.axis = 1}), {emitReshape(node, x, {n, blocks}), groups});
      return emitCast(node, x, to);
    };
    w = emitSlice(node, emitReshape(node, w, {n, blocks * block}), 1, 0, k);
    Ref zero = scalarLike(node, a, static_cast<double>(1 << (bits - 1)));
    if (given)
      zero = byColumn(
          isFloat(node.dtypeOf(given)) ? given : node.constant(unpacked(node, 3, type, n, blocks)));
    w = node.emit(Operator::of(Sub{}), {emitCast(node, w, to), zero});
    w = node.emit(Operator::of(Mul{}), {w, byColumn(node.requireInput(2))});
    return setProduct(node, a, w, 5);
  }
  const Ref scale = emitReshape(node, node.requireInput(2), {n, blocks, 1});
  if (given && isFloat(node.dtypeOf(given))) {
    const Ref zero = emitReshape(node, emitCast(node, given, to), {n, blocks, 1});
    w = node.emit(Operator::of(Sub{}), {emitCast(node, w, to), zero});
    w = node.emit(Operator::of(Mul{}), {w, emitCast(node, scale, to)});
  } else {
    const Ref zero =
        given ? node.constant(unpacked(node, 3, type, n, blocks).reshaped({n, blocks, 1}))
              : node.scalar(type, static_cast<double>(1 << (bits - 1)));
    w = node.emit(Operator::of(DequantizeLinear{.to = to}), {w, scale, zero});
  }
  w = emitReshape(node, w, {n, blocks * block});
  if (blocks * block != k) w = emitSlice(node, w, 1, 0, k);
  setProduct(node, a, w, 5);
}

// Weights of 4 bits as bitsandbytes writes them: the first of each byte in the high bits, each the
// number of an entry of a table, times the largest of its block.
void importMatMulBnb4(OnnxNode& node) {
  static constexpr std::array<std::array<double, 16>, 2> kTables = {{
      {0, 5.208333333e-03, 0.66666667, 1, 0.33333333, 0.5, 0.16666667, 0.25, -0.0, -5.208333333e-03,
       -0.66666667, -1, -0.33333333, -0.5, -0.16666667, -0.25},
      {-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
       0.7229568362236023, 1},
  }};
  const Ref a = node.requireInput(0);
  const int64_t k = requireAttribute(node, "K"), n = requireAttribute(node, "N");
  const int64_t block = requireAttribute(node, "block_size");
  const int64_t kind = node.attributeInt("quant_type", 1);
  if (kind != 0 && kind != 1) node.unsupported(fmt::format("quant_type {}", kind), "0 or 1");
  if (node.attributeInt("transB", 1) == 0) node.unsupported("weights [K, N]", "[N, K]");
  const int64_t count = n * k, blocks = quotientUp(count, block);
  const Tensor* bytes = node.constantOf(node.requireInput(1));
  if (!bytes) node.unsupported("weights computed at run time", "constants");
  if (n > (int64_t{1} << 40) / k || bytes->dtype() != DType::U8 ||
      bytes->count() != quotientUp(count, 2))
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} weights of {}", bytes->count(), dtypeName(bytes->dtype())),
                fmt::format("bytes for {} by {} weights", n, k));
  Tensor weights(DType::F32, {blocks * block});
  const auto* codes = static_cast<const uint8_t*>(bytes->data());
  for (int64_t i = 0; i < blocks * block; ++i) {
    const int code = i < count ? codes[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15 : 0;
    weights.view().storeDouble(i, kTables[static_cast<size_t>(kind)][static_cast<size_t>(code)]);
  }
  const Ref most = emitReshape(node, node.requireInput(2), {blocks, 1});
  Ref w = node.constant(std::move(weights).reshaped({blocks, block}));
  w = node.emit(Operator::of(Mul{}), {w, emitCast(node, most, DType::F32)});
  w = emitReshape(node, w, {blocks * block});
  if (blocks * block != count) w = emitSlice(node, w, 0, 0, count);
  w = emitCast(node, emitReshape(node, w, {n, k}), node.dtypeOf(a));
  setProduct(node, a, w, 3);
}

// Rows of a table of quantized values.
void importGatherBlockQuantized(OnnxNode& node) {
  Ref data = node.requireInput(0), scale = node.requireInput(2), zero = node.input(3);
  const Shape shape = node.shapeOf(data);
  const auto rank = shape.rank();
  if (rank == 0) throw Error(ErrorCode::InvalidModel, "a table without rows", "rank 1 or more");
  ofRank(node, scale, rank, "a scale for each block");
  if (zero) ofRank(node, zero, rank, "a zero point for each block");
  const int64_t block = node.attributeInt("block_size", 128);
  const int64_t axis = importAxis(node, "gather_axis", 0, rank);
  if (axis != 0 || importAxis(node, "quantize_axis", 1, rank) != static_cast<int64_t>(rank) - 1)
    node.unsupported("rows along another axis than the first, or blocks than along the last",
                     "gather_axis 0, quantize_axis -1");
  // Bytes hold several values, biased.
  if (node.dtypeOf(data) == DType::U8) {
    const DType type = packedType(node, node.attributeInt("bits", 4));
    if (!shape.isStatic() || !node.shapeOf(scale).isStatic())
      node.unsupported("a table of symbolic shape", "constant dims");
    std::vector<int64_t> dims = shape.concrete();
    const std::vector<int64_t> scales = node.shapeOf(scale).concrete();
    dims.back() *= 8 / dtypeBits(type);
    const int64_t rows = elementCount(dims) / std::max<int64_t>(1, dims.back());
    data = node.constant(unpacked(node, 0, type, rows, dims.back()).reshaped(dims));
    if (zero)
      zero = node.constant(unpacked(node, 3, type, rows, scales.back()).reshaped(scales));
    else
      zero = node.scalar(type, static_cast<double>(1 << (dtypeBits(type) - 1)));
  }
  const Operator gather = Operator::of(Gather{.axis = 0});
  const Ref rows = node.requireInput(1);
  data = node.emit(gather, {data, rows});
  const Shape out = node.shapeOf(data);
  // Scales and zero points as [..., blocks, 1] beside values [..., blocks, block].
  const auto byBlock = [&](Ref x, int64_t inner) {
    Shape split = node.shapeOf(x);
    const size_t last = split.rank() - 1;
    if (inner > 1) split[last] = floorDiv(split[last], Dim(inner));
    split.push(inner);
    return emitReshape(node, x, split);
  };
  if (compare(floorMod(out[out.rank() - 1], Dim(block)), Dim(0)) != Equality::Yes)
    node.unsupported("rows that blocks do not fill", "a multiple of block_size");
  std::vector<Ref> inputs = {byBlock(data, block), byBlock(node.emit(gather, {scale, rows}), 1)};
  if (zero && node.rankOf(zero) > 0) zero = byBlock(node.emit(gather, {zero, rows}), 1);
  inputs.push_back(zero ? zero : scalarLike(node, data, 0));
  const DequantizeLinear op{.to = node.dtypeOf(scale)};
  node.setOutput(0, emitReshape(node, node.emit(Operator::of(op), inputs), out));
}

}  // namespace carnot
