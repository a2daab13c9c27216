#include "base/error.h"
#include "devices/cuda/cuda_device.h"
#include "kernels/parameters.h"

namespace carnot {
namespace {

// A host copy of what the reference reads and writes, for each run.
class HostExecutable final : public Executable {
 public:
  HostExecutable(std::unique_ptr<Executable> reference, std::vector<size_t> inputs,
                 std::vector<size_t> outputs, std::vector<DType> dtypes, const DeviceTraits& device)
      : reference_(std::move(reference)),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        dtypes_(std::move(dtypes)),
        device_(cuda::openCuda(device)) {}

  bool recordable() const override { return false; }

  void run(const RunArguments& arguments) const override {
    std::vector<std::vector<std::byte>> inputs, outputs;
    std::vector<const void*> inputPointers;
    std::vector<void*> outputPointers;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      inputs.emplace_back(std::max<size_t>(inputs_[i], 1));
      device_->copyFromDevice(inputs[i].data(), arguments.inputs[i], inputs_[i], *arguments.stream);
      inputPointers.push_back(inputs[i].data());
    }
    for (size_t bytes : outputs_) {
      outputs.emplace_back(std::max<size_t>(bytes, 1));
      outputPointers.push_back(outputs.back().data());
    }
    arguments.stream->synchronize();
    RunArguments host = arguments;
    host.inputs = inputPointers.data();
    host.outputs = outputPointers.data();
    if (arguments.allocate) return runFinding(arguments, host);
    reference_->run(host);
    for (size_t i = 0; i < outputs_.size(); ++i)
      device_->copyToDevice(arguments.outputs[i], outputs[i].data(), outputs_[i],
                            *arguments.stream);
    arguments.stream->synchronize();
  }

 private:
  // Outputs come to the host first, at the dims that they turn out to have.
  void runFinding(const RunArguments& arguments, RunArguments host) const {
    struct Found {
      size_t output;
      std::vector<int64_t> dims;
      std::vector<std::byte> bytes;
    };
    std::vector<Found> found;
    found.reserve(dtypes_.size());
    RunArguments::Allocate allocate = [&](size_t output, std::span<const int64_t> dims) -> void* {
      Found& one = found.emplace_back(Found{output, {dims.begin(), dims.end()}, {}});
      one.bytes.resize(std::max<size_t>(dtypeBytes(dtypes_[output], elementCount(dims)), 1));
      return one.bytes.data();
    };
    host.allocate = &allocate;
    reference_->run(host);
    for (const Found& one : found) {
      size_t bytes = dtypeBytes(dtypes_[one.output], elementCount(one.dims));
      void* to = (*arguments.allocate)(one.output, one.dims);
      device_->copyToDevice(to, one.bytes.data(), bytes, *arguments.stream);
    }
    arguments.stream->synchronize();
  }

  std::unique_ptr<Executable> reference_;
  std::vector<size_t> inputs_, outputs_;  // bytes
  std::vector<DType> dtypes_;             // of the outputs
  std::shared_ptr<Device> device_;
};

class BoundHostReference final : public BoundKernel {
 public:
  explicit BoundHostReference(const BindArguments& arguments)
      : device_(arguments.device),
        stored_(decodeProblem(arguments.parameters, arguments.device)),
        inputs_(presentInputs(stored_.problem)),
        reference_(findKernel("reference")->bind(arguments)) {}

  std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
    std::vector<size_t> inputs, outputs;
    for (size_t i = 0; i < inputs_.size(); ++i)
      inputs.push_back(
          dtypeBytes(stored_.problem.inputs[inputs_[i]].dtype, elementCount(shapes.inputs[i])));
    std::vector<DType> dtypes;
    for (size_t i = 0; i < shapes.outputs.size(); ++i) {
      dtypes.push_back(stored_.problem.outputs[i].dtype);
      if (!shapes.found) outputs.push_back(dtypeBytes(dtypes[i], elementCount(shapes.outputs[i])));
    }
    return std::make_unique<HostExecutable>(reference_->specialize(shapes), std::move(inputs),
                                            std::move(outputs), std::move(dtypes), device_);
  }

 private:
  DeviceTraits device_;
  StoredProblem stored_;
  std::vector<int> inputs_;
  std::unique_ptr<BoundKernel> reference_;
};

// Any region by the reference code on the host, with copies there and back: what keeps a network
// running where no other kernel takes a step.
class HostReference final : public Kernel {
 public:
  std::string_view name() const override { return "cuda/host"; }
  bool findsDims() const override { return true; }
  Support supports(const Problem& problem) const override {
    return findKernel("reference")->supports(problem);
  }
  double estimate(const Problem& problem, const Configuration& configuration,
                  const ConcreteShapes& shapes) const override {
    return 1e4 * Kernel::estimate(problem, configuration, shapes);
  }
  Prepared prepare(const Problem& problem, const Configuration& configuration) const override {
    return findKernel("reference")->prepare(problem, configuration);
  }
  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    return std::make_unique<BoundHostReference>(arguments);
  }
};

}  // namespace

const Kernel& cudaHostReference() {
  static const HostReference kernel;
  return kernel;
}

}  // namespace carnot
