#include "kernels/cudnn/graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "kernels/cudnn/descriptor.h"

namespace carnot::cuda {
namespace {

// Marked as deprecated in newer versions; older ones ask for it.
constexpr auto kGraphHandle = static_cast<cudnnBackendAttributeName_t>(800);

cudnnDataType_t dataType(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return CUDNN_DATA_FLOAT;
    case DType::F64:
      return CUDNN_DATA_DOUBLE;
    case DType::F16:
      return CUDNN_DATA_HALF;
    case DType::BF16:
      return CUDNN_DATA_BFLOAT16;
    case DType::I8:
      return CUDNN_DATA_INT8;
    case DType::I32:
      return CUDNN_DATA_INT32;
    case DType::Bool:
      return CUDNN_DATA_BOOLEAN;
    default:
      throw CudnnRefusal{fmt::format("cuDNN takes no {}", dtypeName(dtype))};
  }
}

}  // namespace

void must(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char words[512] = {};
  cudnn().getLastErrorString(words, sizeof words);
  throw CudnnRefusal{fmt::format("cuDNN, {}: {} {}", what, cudnn().getErrorString(status), words),
                     status == CUDNN_STATUS_INTERNAL_ERROR_COMPILATION_FAILED};
}

CudnnBuilder::~CudnnBuilder() {
  for (auto it = made_.rbegin(); it != made_.rend(); ++it) cudnn().destroyDescriptor(*it);
}

cudnnBackendDescriptor_t CudnnBuilder::build(cudnnHandle_t handle) {
  for (size_t i = 0; i < graph_.tensors().size(); ++i) addTensor(i);
  std::vector<Descriptor> operations;
  for (const auto& op : graph_.ops_) operations.push_back(addOp(op));
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
            static_cast<int64_t>(operations.size()), operations.data());
  graph.set(kGraphHandle, CUDNN_TYPE_HANDLE, 1, &handle);
  return keep(graph, "graph");
}

CudnnBuilder::Descriptor CudnnBuilder::keep(CudnnDescriptor& filled, const char* what) {
  filled.finalize(what);
  made_.push_back(filled.release());
  return made_.back();
}

void CudnnBuilder::addTensor(size_t index) {
  const CudnnGraph::Tensor& tensor = graph_.tensors()[index];
  CudnnDescriptor filled(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  filled.set(CUDNN_ATTR_TENSOR_DATA_TYPE, dataType(tensor.dtype));
  filled.set(CUDNN_ATTR_TENSOR_DIMENSIONS, tensor.dims);
  filled.set(CUDNN_ATTR_TENSOR_STRIDES, tensor.strides);
  filled.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<int64_t>(index) + 1);
  filled.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, static_cast<int64_t>(tensor.alignment));
  filled.setBool(CUDNN_ATTR_TENSOR_IS_VIRTUAL, tensor.kind == CudnnGraph::Tensor::Kind::Virtual);
  filled.setBool(CUDNN_ATTR_TENSOR_IS_BY_VALUE, tensor.kind == CudnnGraph::Tensor::Kind::Value);
  tensors_.push_back(keep(filled, "tensor"));
}

// float32, or float64 where the operands are.
cudnnDataType_t CudnnBuilder::computeType(const CudnnGraph::Op& op) const {
  const bool wide = graph_.tensors()[static_cast<size_t>(op.a)].dtype == DType::F64;
  return wide ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
}

CudnnBuilder::Descriptor CudnnBuilder::addOp(const CudnnGraph::Op& op) {
  switch (op.kind) {
    case OpKind::Convolution:
    case OpKind::ConvolutionData:
      return addConvolution(op);
    case OpKind::Pointwise:
      return addPointwise(op);
    case OpKind::MatMul:
      return addMatMul(op);
    case OpKind::Reduction:
      break;
  }
  return addReduction(op);
}

CudnnBuilder::Descriptor CudnnBuilder::addConvolution(const CudnnGraph::Op& op) {
  CudnnDescriptor window(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  window.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, computeType(op));
  window.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  window.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, static_cast<int64_t>(op.window.strides.size()));
  window.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, op.window.strides);
  window.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, op.window.dilations);
  window.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, op.window.padsBegin);
  window.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, op.window.padsEnd);
  Descriptor described = keep(window, "convolution's window");
  // Factors of the type that is computed in.
  const bool wide = computeType(op) == CUDNN_DATA_DOUBLE;
  const float one = 1, zero = 0;
  const double one64 = 1, zero64 = 0;
  auto factor = [&](CudnnDescriptor& to, cudnnBackendAttributeName_t name, bool unit) {
    if (wide)
      to.set(name, CUDNN_TYPE_DOUBLE, 1, unit ? &one64 : &zero64);
    else
      to.set(name, CUDNN_TYPE_FLOAT, 1, unit ? &one : &zero);
  };
  if (op.kind == OpKind::Convolution) {
    CudnnDescriptor made(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, described);
    made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, at(op.a));
    made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, at(op.b));
    made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, at(op.y));
    factor(made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, true);
    factor(made, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, false);
    return keep(made, "convolution");
  }
  CudnnDescriptor made(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, described);
  made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, at(op.a));
  made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, at(op.b));
  made.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, at(op.y));
  factor(made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, true);
  factor(made, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, false);
  return keep(made, "convolution's gradient");
}

CudnnBuilder::Descriptor CudnnBuilder::addPointwise(const CudnnGraph::Op& op) {
  CudnnDescriptor what(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  const auto mode = static_cast<cudnnPointwiseMode_t>(op.mode);
  what.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
  what.set(CUDNN_ATTR_POINTWISE_MATH_PREC, computeType(op));
  auto bound = [&](cudnnBackendAttributeName_t name, const std::optional<double>& value) {
    if (value) what.setDouble(name, *value);
  };
  bound(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, op.bounds.lowerClip);
  bound(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, op.bounds.upperClip);
  bound(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, op.bounds.lowerSlope);
  bound(CUDNN_ATTR_POINTWISE_ELU_ALPHA, op.bounds.eluAlpha);
  bound(CUDNN_ATTR_POINTWISE_SWISH_BETA, op.bounds.swishBeta);
  bound(CUDNN_ATTR_POINTWISE_SOFTPLUS_BETA, op.bounds.softplusBeta);
  Descriptor described = keep(what, "pointwise operation");
  CudnnDescriptor made(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, described);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(op.a));
  if (op.b >= 0) made.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(op.b));
  if (op.t >= 0) made.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, at(op.t));
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(op.y));
  return keep(made, "pointwise step");
}

CudnnBuilder::Descriptor CudnnBuilder::addMatMul(const CudnnGraph::Op& op) {
  CudnnDescriptor what(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  what.set(CUDNN_ATTR_MATMUL_COMP_TYPE, computeType(op));
  Descriptor described = keep(what, "product's type");
  CudnnDescriptor made(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, described);
  made.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, at(op.a));
  made.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, at(op.b));
  made.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, at(op.y));
  return keep(made, "product");
}

CudnnBuilder::Descriptor CudnnBuilder::addReduction(const CudnnGraph::Op& op) {
  CudnnDescriptor what(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  const auto by = static_cast<cudnnReduceTensorOp_t>(op.mode);
  what.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &by);
  what.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, computeType(op));
  Descriptor described = keep(what, "reduction's type");
  CudnnDescriptor made(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, described);
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, at(op.a));
  made.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, at(op.y));
  return keep(made, "reduction");
}

int CudnnGraph::memory(DType dtype, std::vector<int64_t> dims, std::vector<int64_t> strides,
                       int alignment) {
  tensors_.push_back({Tensor::Kind::Memory, dtype, std::move(dims), std::move(strides), alignment});
  return static_cast<int>(tensors_.size()) - 1;
}

int CudnnGraph::passed(std::vector<int64_t> dims, std::vector<int64_t> strides, DType dtype) {
  tensors_.push_back({Tensor::Kind::Virtual, dtype, std::move(dims), std::move(strides)});
  return static_cast<int>(tensors_.size()) - 1;
}

int CudnnGraph::value(float number, size_t rank) {
  Tensor tensor{Tensor::Kind::Value, DType::F32, std::vector<int64_t>(rank, 1),
                std::vector<int64_t>(rank, 1)};
  tensor.value = number;
  tensors_.push_back(std::move(tensor));
  return static_cast<int>(tensors_.size()) - 1;
}

void CudnnGraph::convolution(int x, int w, int y, Window window) {
  ops_.push_back(
      {.kind = OpKind::Convolution, .y = y, .a = x, .b = w, .window = std::move(window)});
}
void CudnnGraph::convolutionData(int x, int w, int y, Window window) {
  ops_.push_back(
      {.kind = OpKind::ConvolutionData, .y = y, .a = x, .b = w, .window = std::move(window)});
}
void CudnnGraph::pointwise(cudnnPointwiseMode_t mode, int y, int a, int b, int t, Bounds bounds) {
  ops_.push_back(
      {.kind = OpKind::Pointwise, .y = y, .a = a, .b = b, .t = t, .mode = mode, .bounds = bounds});
}
void CudnnGraph::matMul(int a, int b, int y) {
  ops_.push_back({.kind = OpKind::MatMul, .y = y, .a = a, .b = b});
}
void CudnnGraph::reduction(cudnnReduceTensorOp_t by, int x, int y) {
  ops_.push_back({.kind = OpKind::Reduction, .y = y, .a = x, .mode = by});
}

bool CudnnGraph::fullPrecision() const { return !tf32_ && product().x >= 0; }

CudnnGraph::Product CudnnGraph::product() const {
  for (const Op& op : ops_)
    if (op.b >= 0 && op.kind != OpKind::Pointwise &&
        tensors_[static_cast<size_t>(op.a)].dtype == DType::F32)
      return {op.a, op.b};
  return {};
}

std::string CudnnGraph::key() const {
  std::string text = exact_ ? "tf32 of tf32" : tf32_ ? "tf32 nearest" : "";
  for (const Tensor& tensor : tensors_)
    text += fmt::format("|{} {} [{}] ({}) {} {}", static_cast<int>(tensor.kind),
                        dtypeName(tensor.dtype), fmt::join(tensor.dims, ","),
                        fmt::join(tensor.strides, ","), tensor.alignment, tensor.value);
  for (const Op& op : ops_) {
    text += fmt::format("|{} {}={} {} {} {}", static_cast<int>(op.kind), op.y, op.a, op.b, op.t,
                        op.mode);
    for (const auto* values :
         {&op.window.strides, &op.window.dilations, &op.window.padsBegin, &op.window.padsEnd})
      text += fmt::format(" [{}]", fmt::join(*values, ","));
    const Bounds& bounds = op.bounds;
    for (const auto& bound : {bounds.lowerClip, bounds.upperClip, bounds.lowerSlope,
                              bounds.eluAlpha, bounds.swishBeta, bounds.softplusBeta})
      text += bound ? fmt::format(" {}", *bound) : " _";
  }
  return text;
}

}  // namespace carnot::cuda
