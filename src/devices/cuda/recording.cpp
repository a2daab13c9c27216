#include "devices/cuda/recording.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "devices/address_words.h"
#include "devices/cuda/cuda_device.h"
#include "devices/cuda/driver.h"

namespace carnot::cuda {
namespace {

CUstream nativeOf(Stream& stream) { return static_cast<CUstream>(stream.native()); }

// What a stream was given while it was recorded.
class CapturedGraph {
 public:
  CapturedGraph(Stream& stream, const std::function<void()>& issue) {
    const auto alone = holdRecording();
    check(driver().cuStreamBeginCapture(nativeOf(stream), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
          "starting to record");
    try {
      issue();
    } catch (...) {
      driver().cuStreamEndCapture(nativeOf(stream), &graph_);
      if (graph_) driver().cuGraphDestroy(graph_);
      throw;
    }
    check(driver().cuStreamEndCapture(nativeOf(stream), &graph_), "recording");
  }
  ~CapturedGraph() {
    if (graph_) driver().cuGraphDestroy(graph_);
  }
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;
  CUgraph get() const { return graph_; }

 private:
  CUgraph graph_ = nullptr;
};

// One node's parameters as words: what it is, then the values that it was given.
struct Node {
  CUgraphNode handle = nullptr;
  CUgraphNodeType type = CU_GRAPH_NODE_TYPE_EMPTY;
  CUDA_KERNEL_NODE_PARAMS kernel{};
  std::vector<size_t> parameters;  // where each of a kernel's starts among all words
  size_t first = 0, last = 0;      // its words
};

// A graph's nodes; not readable where one is of a kind without words.
class GraphParameters {
 public:
  explicit GraphParameters(CUgraph graph) {
    size_t count = 0;
    check(driver().cuGraphGetNodes(graph, nullptr, &count), "counting a recording's nodes");
    std::vector<CUgraphNode> handles(count);
    check(driver().cuGraphGetNodes(graph, handles.data(), &count), "reading a recording");
    readable_ = driver().functionParameter && driver().kernelParameter;
    for (CUgraphNode handle : handles)
      if (readable_) readable_ = read(handle, nodes.emplace_back());
  }
  bool readable() const { return readable_; }

  std::vector<Node> nodes;
  std::vector<uint64_t> words;

 private:
  void append(const void* data, size_t bytes) {
    const size_t at = words.size();
    words.resize(at + (bytes + 7) / 8);
    std::memcpy(words.data() + at, data, bytes);
  }

  bool read(CUgraphNode handle, Node& node) {
    node.handle = handle;
    check(driver().cuGraphNodeGetType(node.handle, &node.type), "asking for a node's kind");
    node.first = words.size();
    words.push_back(node.type);
    bool known = node.type == CU_GRAPH_NODE_TYPE_EMPTY;
    if (node.type == CU_GRAPH_NODE_TYPE_KERNEL) {
      known = readKernel(node);
    } else if (node.type == CU_GRAPH_NODE_TYPE_MEMCPY) {
      CUDA_MEMCPY3D copy{};
      known = driver().cuGraphMemcpyNodeGetParams(node.handle, &copy) == CUDA_SUCCESS;
      append(&copy, sizeof copy);
    } else if (node.type == CU_GRAPH_NODE_TYPE_MEMSET) {
      CUDA_MEMSET_NODE_PARAMS fill{};
      known = driver().cuGraphMemsetNodeGetParams(node.handle, &fill) == CUDA_SUCCESS;
      append(&fill, sizeof fill);
    }
    node.last = words.size();
    return known;
  }

  bool readKernel(Node& node) {
    CUDA_KERNEL_NODE_PARAMS& kernel = node.kernel;
    if (driver().cuGraphKernelNodeGetParams(node.handle, &kernel) != CUDA_SUCCESS || kernel.extra)
      return false;
    const uint64_t launch[] = {reinterpret_cast<uintptr_t>(kernel.func),
                               reinterpret_cast<uintptr_t>(kernel.kern),
                               kernel.gridDimX,
                               kernel.gridDimY,
                               kernel.gridDimZ,
                               kernel.blockDimX,
                               kernel.blockDimY,
                               kernel.blockDimZ,
                               kernel.sharedMemBytes};
    append(launch, sizeof launch);
    for (size_t i = 0;; ++i) {
      size_t offset = 0, bytes = 0;
      const CUresult result = kernel.func
                                  ? driver().functionParameter(kernel.func, i, &offset, &bytes)
                                  : driver().kernelParameter(kernel.kern, i, &offset, &bytes);
      if (result == CUDA_ERROR_INVALID_VALUE) break;  // behind the last
      if (result != CUDA_SUCCESS || !kernel.kernelParams) return false;
      node.parameters.push_back(words.size());
      append(kernel.kernelParams[i], bytes);
    }
    kernel.kernelParams = nullptr;  // the node's own, until it is changed
    return true;
  }

  bool readable_ = false;
};

class CudaRecording final : public Recording {
 public:
  CudaRecording(Stream& stream, const std::function<void()>& issue,
                std::span<const MemoryRange> places)
      : places_(places.begin(), places.end()) {
    graph_ = std::make_unique<CapturedGraph>(stream, issue);
    check(driver().cuGraphInstantiate(&executable_, graph_->get(), 0), "preparing a recording");
  }
  ~CudaRecording() override { driver().cuGraphExecDestroy(executable_); }

  void launch(Stream& stream) override {
    check(driver().cuGraphLaunch(executable_, nativeOf(stream)), "launching a recording");
  }

  void update(Stream& stream, const std::function<void()>& issue,
              std::span<const MemoryRange> places) override {
    if (!known_ || !known_->know(places) || !patch(places)) recordAgain(stream, issue, places);
    places_.assign(places.begin(), places.end());
  }

 private:
  void recordAgain(Stream& stream, const std::function<void()>& issue,
                   std::span<const MemoryRange> places) {
    auto fresh = std::make_unique<CapturedGraph>(stream, issue);
    if (!first_) {
      first_.emplace(graph_->get());
      if (first_->readable()) known_.emplace(first_->words, places_);
    }
    if (known_) {
      const GraphParameters now(fresh->get());
      known_->learn(now.words, places);
      changed_ = known_->words();
    }
    CUgraphExecUpdateResultInfo info{};
    if (driver().cuGraphExecUpdate(executable_, fresh->get(), &info) == CUDA_SUCCESS) return;
    CUgraphExec other = nullptr;
    check(driver().cuGraphInstantiate(&other, fresh->get(), 0), "preparing a recording");
    driver().cuGraphExecDestroy(executable_);
    executable_ = other;
    // What was learned is of nodes that are gone.
    known_.reset();
    first_.reset();
    graph_ = std::move(fresh);
  }

  // False, with nothing known any more, where the driver does not take it.
  bool patch(std::span<const MemoryRange> places) {
    const std::span<const AddressWords::Address> addresses = known_->addresses();
    auto node = first_->nodes.begin();
    for (size_t i = 0; i < addresses.size();) {
      while (node->last <= addresses[i].word) ++node;
      bool moved = false;
      for (; i < addresses.size() && addresses[i].word < node->last; ++i) {
        const size_t place = addresses[i].place;
        moved |= places[place].data != places_[place].data;
        changed_[addresses[i].word] = known_->at(addresses[i], places);
      }
      if (!moved || set(*node)) continue;
      known_.reset();
      return false;
    }
    return true;
  }

  bool set(const Node& node) {
    uint64_t* values = changed_.data() + node.first + 1;  // behind the node's kind
    if (node.type == CU_GRAPH_NODE_TYPE_KERNEL) {
      CUDA_KERNEL_NODE_PARAMS kernel = node.kernel;
      parameters_.clear();
      for (size_t at : node.parameters) parameters_.push_back(changed_.data() + at);
      kernel.kernelParams = parameters_.data();
      return driver().cuGraphExecKernelNodeSetParams(executable_, node.handle, &kernel) ==
             CUDA_SUCCESS;
    }
    CUcontext context = nullptr;
    if (driver().cuCtxGetCurrent(&context) != CUDA_SUCCESS) return false;
    if (node.type == CU_GRAPH_NODE_TYPE_MEMCPY) {
      CUDA_MEMCPY3D copy{};
      std::memcpy(&copy, values, sizeof copy);
      return driver().cuGraphExecMemcpyNodeSetParams(executable_, node.handle, &copy, context) ==
             CUDA_SUCCESS;
    }
    CUDA_MEMSET_NODE_PARAMS fill{};
    std::memcpy(&fill, values, sizeof fill);
    return driver().cuGraphExecMemsetNodeSetParams(executable_, node.handle, &fill, context) ==
           CUDA_SUCCESS;
  }

  std::unique_ptr<CapturedGraph> graph_;  // whose nodes the executable's are named by
  CUgraphExec executable_ = nullptr;
  std::vector<MemoryRange> places_;  // as the executable has them
  // Once they have changed.
  std::optional<GraphParameters> first_;
  std::optional<AddressWords> known_;
  std::vector<uint64_t> changed_;  // the words, moved
  std::vector<void*> parameters_;
};

}  // namespace

std::unique_ptr<Recording> recordGraph(Stream& stream, const std::function<void()>& issue,
                                       std::span<const MemoryRange> places) {
  return std::make_unique<CudaRecording>(stream, issue, places);
}

}  // namespace carnot::cuda
