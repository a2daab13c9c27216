#pragma once

#include <carnot/dtype.h>

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "devices/cuda/cudnn.h"
#include "devices/device.h"

namespace carnot::cuda {

// Of the pointwise modes that have them.
struct CudnnBounds {
  std::optional<double> lowerClip = {}, upperClip = {}, lowerSlope = {};
  std::optional<double> eluAlpha = {}, swishBeta = {}, softplusBeta = {};
};

// A few operations for cuDNN to carry out as one, as plain data; sums are of float32, those of
// float64 of float64. Tensors are numbered in the order in which they are added.
class CudnnGraph {
 public:
  struct Tensor {
    enum class Kind : uint8_t {
      Memory,   // its address is given to each run
      Virtual,  // passed on within the graph
      Value,    // one number
    };
    Kind kind = Kind::Memory;
    DType dtype = DType::F32;
    std::vector<int64_t> dims, strides;  // [N, C, spatial...]; strides in elements
    int alignment = 16;                  // of the address, in bytes
    float value = 0;
  };
  struct Window {
    std::vector<int64_t> strides, dilations, padsBegin, padsEnd;
  };
  using Bounds = CudnnBounds;

  int memory(DType dtype, std::vector<int64_t> dims, std::vector<int64_t> strides,
             int alignment = 16);
  int passed(std::vector<int64_t> dims, std::vector<int64_t> strides, DType dtype = DType::F32);
  int value(float number, size_t rank);

  // y = conv(x, w); as ONNX's cross-correlation. The channels of w decide the groups.
  void convolution(int x, int w, int y, Window window);
  // y = conv's gradient by its input, for ConvTranspose: x has the dims of conv's output.
  void convolutionData(int x, int w, int y, Window window);
  // y = mode(a), mode(a, b) or select(t ? a : b); operands broadcast to y.
  void pointwise(cudnnPointwiseMode_t mode, int y, int a, int b = -1, int t = -1,
                 Bounds bounds = {});
  void matMul(int a, int b, int y);
  void reduction(cudnnReduceTensorOp_t by, int x, int y);  // along dims of y that are 1

  // Products of float32 may round their operands to TF32; `exact`: these are TF32 already, so that
  // a plan may as well drop bits.
  void allowTf32(bool exact = false) {
    tf32_ = true;
    exact_ = exact;
  }
  // Whether tensor cores would round what it multiplies.
  bool fullPrecision() const;
  // Whether it multiplies float32 that tensor cores are to round.
  bool mayRound() const { return tf32_ && !exact_ && product().x >= 0; }
  // The tensors that its first product of float32 multiplies; -1: there is none.
  struct Product {
    int x = -1, w = -1;
  };
  Product product() const;
  int result() const { return ops_.back().y; }

  const std::vector<Tensor>& tensors() const { return tensors_; }
  std::string key() const;  // canonical: equal for equal graphs

 private:
  friend class CudnnPlans;
  friend class CudnnBuilder;
  enum class OpKind : uint8_t { Convolution, ConvolutionData, Pointwise, MatMul, Reduction };
  struct Op {
    OpKind kind;
    int y, a, b = -1, t = -1;
    int mode = 0;
    Window window = {};
    Bounds bounds = {};
  };
  std::vector<Tensor> tensors_;
  std::vector<Op> ops_;
  bool tf32_ = false, exact_ = false;
};

// A way of carrying out a graph, ready to run. Threads may share it, and take turns.
class CudnnPlan {
 public:
  ~CudnnPlan();
  CudnnPlan(const CudnnPlan&) = delete;
  CudnnPlan& operator=(const CudnnPlan&) = delete;

  size_t workspaceBytes() const { return workspaceBytes_; }
  // `addresses`: of the graph's Memory tensors, in their order. Only issues work, so it may be
  // recorded. The workspace is aligned to 256 bytes.
  void run(std::span<void* const> addresses, void* workspace, Stream& stream) const;

 private:
  friend class CudnnPlans;
  CudnnPlan() = default;
  struct Value {
    int64_t id;
    float number;
  };
  cudnnBackendDescriptor_t plan_ = nullptr;
  mutable std::mutex mutex_;
  size_t workspaceBytes_ = 0;
  std::vector<int64_t> ids_;
  std::vector<Value> values_;
};

// The ways that cuDNN's heuristics propose for a graph, the best first; of those that give the same
// bits at each run, and for float32 full products unless TF32 is allowed; where it is, of those
// that round to the nearest.
class CudnnPlans {
 public:
  ~CudnnPlans();
  // Equal graphs share one, kept for the process. Throws Error (Unsupported) without cuDNN.
  static std::shared_ptr<const CudnnPlans> of(const CudnnGraph& graph);

  size_t count() const;
  std::string refusal() const;  // why there are none
  // The plan of choice % count(), or of the next one that cuDNN can prepare. Prepared plans are
  // kept in the user's cache folder. Throws Error (Unsupported) when there is none, or none that
  // rounds to the nearest where the graph may round.
  std::shared_ptr<const CudnnPlan> plan(size_t choice) const;

 private:
  struct State;
  explicit CudnnPlans(const CudnnGraph& graph);
  std::unique_ptr<State> state_;
};

}  // namespace carnot::cuda
