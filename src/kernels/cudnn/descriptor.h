#pragma once

#include <utility>
#include <vector>

#include "kernels/cudnn/graph.h"

namespace carnot::cuda {

// What cuDNN refuses to carry out; the graph may suit another kernel.
struct CudnnRefusal {
  std::string why;
  bool compiling = false;  // code that it generates does not compile
};

// Throws CudnnRefusal naming `what` was done unless it succeeded.
void must(cudnnStatus_t status, const char* what);

// A descriptor while it is being filled.
class CudnnDescriptor {
 public:
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type) {
    must(cudnn().createDescriptor(type, &descriptor_), "descriptor");
  }
  ~CudnnDescriptor() {
    if (descriptor_) cudnn().destroyDescriptor(descriptor_);
  }
  CudnnDescriptor(const CudnnDescriptor&) = delete;
  CudnnDescriptor& operator=(const CudnnDescriptor&) = delete;

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
           const void* values) {
    must(cudnn().setAttribute(descriptor_, name, type, count, values), "attribute");
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values) {
    set(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, int64_t value) {
    set(name, CUDNN_TYPE_INT64, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
    set(name, CUDNN_TYPE_DATA_TYPE, 1, &value);
  }
  void setBool(cudnnBackendAttributeName_t name, bool value) {
    set(name, CUDNN_TYPE_BOOLEAN, 1, &value);
  }
  void setDouble(cudnnBackendAttributeName_t name, double value) {
    set(name, CUDNN_TYPE_DOUBLE, 1, &value);
  }
  void finalize(const char* what) { must(cudnn().finalize(descriptor_), what); }
  cudnnBackendDescriptor_t get() const { return descriptor_; }
  cudnnBackendDescriptor_t release() { return std::exchange(descriptor_, nullptr); }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

// A graph in cuDNN's terms; its descriptors live as long as this. The graph outlives it.
class CudnnBuilder {
 public:
  explicit CudnnBuilder(const CudnnGraph& graph) : graph_(graph) {}
  ~CudnnBuilder();
  CudnnBuilder(const CudnnBuilder&) = delete;
  CudnnBuilder& operator=(const CudnnBuilder&) = delete;

  // Throws CudnnRefusal.
  cudnnBackendDescriptor_t build(cudnnHandle_t handle);

 private:
  using OpKind = CudnnGraph::OpKind;
  using Descriptor = cudnnBackendDescriptor_t;

  Descriptor keep(CudnnDescriptor& filled, const char* what);
  void addTensor(size_t index);
  cudnnDataType_t computeType(const CudnnGraph::Op& op) const;
  Descriptor at(int tensor) const { return tensors_[static_cast<size_t>(tensor)]; }
  Descriptor addOp(const CudnnGraph::Op& op);
  Descriptor addConvolution(const CudnnGraph::Op& op);
  Descriptor addPointwise(const CudnnGraph::Op& op);
  Descriptor addMatMul(const CudnnGraph::Op& op);
  Descriptor addReduction(const CudnnGraph::Op& op);

  const CudnnGraph& graph_;
  std::vector<Descriptor> made_, tensors_;
};

}  // namespace carnot::cuda
