#include "base/error.h"
#include "devices/cuda/cuda_device.h"
#include "kernels/parameters.h"

namespace carnot {
namespace {

// A host copy of what the reference reads and writes, for each run.
class HostExecutable final : public Executable {
 public:
  HostExecutable(std::unique_ptr<Executable> reference, std::vector<size_t> inputs,
                 std::vector<size_t> outputs, const DeviceTraits& device)
      : reference_(std::move(reference)),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
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
    reference_->run(host);
    for (size_t i = 0; i < outputs_.size(); ++i)
      device_->copyToDevice(arguments.outputs[i], outputs[i].data(), outputs_[i],
                            *arguments.stream);
    arguments.stream->synchronize();
  }

 private:
  std::unique_ptr<Executable> reference_;
  std::vector<size_t> inputs_, outputs_;  // bytes
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
    for (size_t i = 0; i < shapes.outputs.size(); ++i)
      outputs.push_back(
          dtypeBytes(stored_.problem.outputs[i].dtype, elementCount(shapes.outputs[i])));
    return std::make_unique<HostExecutable>(reference_->specialize(shapes), std::move(inputs),
                                            std::move(outputs), device_);
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
