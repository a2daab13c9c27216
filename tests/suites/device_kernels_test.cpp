// The cases of the kernel suite on every device that shares no memory with the host.

#include <carnot/error.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "close_to.h"
#include "kernel_cases.h"
#include "kernel_instance.h"
#include "kernels/kernel.h"
#include "tactics/tactics.h"

namespace carnot::test {
namespace {

constexpr size_t kGuard = 256;  // bytes before and behind, of a pattern
constexpr std::byte kPattern{0xA5}, kPoison{0xFF};

// Bytes on a device that nothing may write around.
class GuardedBuffer {
 public:
  // `offset`: of the start from an address aligned to 256.
  GuardedBuffer(Device& device, Stream& stream, size_t bytes, size_t offset)
      : device_(device), stream_(stream), bytes_(bytes), start_(kGuard + offset) {
    buffer_ = device.allocate(start_ + bytes + kGuard);
    std::vector<std::byte> all(buffer_->bytes(), kPattern);
    std::fill_n(all.begin() + static_cast<ptrdiff_t>(start_), bytes, kPoison);
    device.copyToDevice(buffer_->data(), all.data(), all.size(), stream);
    stream.synchronize();
  }
  void* data() const { return static_cast<std::byte*>(buffer_->data()) + start_; }

  void write(const void* bytes) {
    device_.copyToDevice(data(), bytes, bytes_, stream_);
    stream_.synchronize();
  }
  // Also checks what lies around.
  void read(void* bytes) {
    std::vector<std::byte> all(buffer_->bytes());
    device_.copyFromDevice(all.data(), buffer_->data(), all.size(), stream_);
    stream_.synchronize();
    for (size_t i = 0; i < all.size(); ++i)
      if (i < start_ || i >= start_ + bytes_) {
        ASSERT_EQ(all[i], kPattern) << "byte " << i << " around " << bytes_ << " bytes";
      }
    if (bytes_) std::memcpy(bytes, all.data() + start_, bytes_);
  }

 private:
  Device& device_;
  Stream& stream_;
  size_t bytes_, start_;
  std::shared_ptr<Buffer> buffer_;
};

// A tensor in the configuration's layout, on the host.
std::vector<std::byte> inLayout(const Tensor& tensor, Layout layout) {
  GuardedMemory memory(dtypeBytes(tensor.dtype(), physicalCount(layout, tensor.dims())), 64);
  toLayout(tensor, layout, memory);
  const auto* bytes = static_cast<const std::byte*>(memory.data());
  return {bytes, bytes + memory.bytes()};
}

class DeviceKernels : public ::testing::TestWithParam<std::tuple<std::string, KernelCase>> {
 protected:
  DeviceTraits traits = deviceTraits(std::get<0>(GetParam()), 2);
  std::shared_ptr<Device> device = openDevice(traits);
  std::unique_ptr<Stream> stream = device->createStream();

  std::unique_ptr<GuardedBuffer> guarded(size_t bytes, size_t offset) {
    return std::make_unique<GuardedBuffer>(*device, *stream, bytes, offset);
  }

  // The outputs of one run. `shifted`: plain tensors start one element behind an aligned address,
  // as an application's may.
  std::vector<Tensor> outputsOf(const Executable& executable, const Instance& instance,
                                std::span<const int> runtimeInputs,
                                const Configuration& configuration, bool shifted) {
    auto offset = [&](DType dtype, Layout layout) {
      return shifted && layout.isPlain() ? std::max<size_t>(dtypeBits(dtype) / 8, 1) : 0;
    };
    std::vector<std::unique_ptr<GuardedBuffer>> inputs, outputs;
    std::vector<const void*> inputPointers;
    std::vector<void*> outputPointers;
    for (int input : runtimeInputs) {
      const Tensor& tensor = instance.inputs[static_cast<size_t>(input)].data;
      const Layout layout = configuration.inputs[static_cast<size_t>(input)];
      const std::vector<std::byte> bytes = inLayout(tensor, layout);
      inputs.push_back(guarded(bytes.size(), offset(tensor.dtype(), layout)));
      inputs.back()->write(bytes.data());
      inputPointers.push_back(inputs.back()->data());
    }
    for (size_t i = 0; i < instance.expected.size(); ++i) {
      const Tensor& expected = instance.expected[i];
      const Layout layout = configuration.outputs[i];
      const size_t bytes = dtypeBytes(expected.dtype(), physicalCount(layout, expected.dims()));
      outputs.push_back(guarded(bytes, offset(expected.dtype(), layout)));
      if (const int under = instance.inputUnder(i); under >= 0)
        outputs.back() = std::move(inputs[static_cast<size_t>(
            std::ranges::find(runtimeInputs, under) - runtimeInputs.begin())]);
      outputPointers.push_back(outputs.back()->data());
    }
    auto workspace = guarded(executable.workspaceBytes(), 0);
    device->activate();
    executable.run({.inputs = inputPointers.data(),
                    .outputs = outputPointers.data(),
                    .workspace = workspace->data(),
                    .stream = stream.get(),
                    .pool = nullptr});
    stream->synchronize();
    std::vector<Tensor> results;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor& expected = instance.expected[i];
      const Layout layout = configuration.outputs[i];
      GuardedMemory memory(dtypeBytes(expected.dtype(), physicalCount(layout, expected.dims())),
                           64);
      outputs[i]->read(memory.data());
      results.push_back(fromLayout(expected.dtype(), expected.dims(), layout, memory));
    }
    std::vector<std::byte> unused(executable.workspaceBytes());
    workspace->read(unused.data());
    return results;
  }

  void run(const Kernel& kernel, const Instance& instance, const Problem& problem,
           const Configuration& configuration, double tolerance) {
    const Prepared prepared = kernel.prepare(problem, configuration);
    std::vector<std::unique_ptr<GuardedBuffer>> weights;
    BindArguments arguments{.parameters = prepared.parameters, .weights = {}, .device = traits};
    for (const Tensor& weight : prepared.weights) {
      weights.push_back(guarded(weight.bytes(), 0));
      weights.back()->write(weight.data());
      arguments.weights.push_back({weights.back()->data(), weight.dtype(), weight.dims()});
    }
    const auto bound = kernel.bind(arguments);
    ConcreteShapes shapes{.inputs = {}, .outputs = {}, .symbols = instance.symbols}, all = shapes;
    for (int input : prepared.runtimeInputs)
      shapes.inputs.push_back(instance.inputs[static_cast<size_t>(input)].data.dims());
    for (const CaseTensor& input : instance.inputs)
      all.inputs.push_back(input.desc.present ? input.data.dims() : std::vector<int64_t>());
    for (const Tensor& expected : instance.expected) shapes.outputs.push_back(expected.dims());
    all.outputs = shapes.outputs;
    EXPECT_GT(kernel.estimate(problem, configuration, all), 0);
    const auto executable = bound->specialize(shapes);
    EXPECT_LE(executable->workspaceBytes(), workspaceBound(problem, all));
    auto outputs = [&](bool shifted) {
      return outputsOf(*executable, instance, prepared.runtimeInputs, configuration, shifted);
    };
    const auto first = outputs(false), again = outputs(false), shifted = outputs(true);
    for (size_t i = 0; i < instance.expected.size(); ++i) {
      EXPECT_TRUE(closeTo(first[i], instance.expected[i], tolerance)) << "output " << i;
      EXPECT_TRUE(closeTo(shifted[i], instance.expected[i], tolerance)) << "output " << i;
      EXPECT_TRUE(first[i].sameBytes(again[i])) << "output " << i << " differs between runs";
    }
  }
};

TEST_P(DeviceKernels, AgreeWithTheReference) {
  const KernelCase& kernelCase = std::get<1>(GetParam());
  const Instance instance = makeInstance(kernelCase);
  Problem problem = instance.problem(traits);
  problem.tf32 = kernelCase.tf32;
  std::string took;
  for (const Kernel* kernel : kernelsOf(traits.kind)) {
    const Support support = kernel->supports(problem);
    if (auto* refusal = std::get_if<Refusal>(&support)) {
      EXPECT_FALSE(refusal->reason.empty()) << kernel->name();
      continue;
    }
    const auto& configurations = std::get<std::vector<Configuration>>(support);
    EXPECT_FALSE(configurations.empty()) << kernel->name();
    took += (took.empty() ? "" : " ") + std::string(kernel->name());
    for (const Configuration& configuration : configurations) {
      SCOPED_TRACE(fmt::format("{} {{{}}}", kernel->name(), configuration.toString()));
      try {
        run(*kernel, instance, problem, configuration, kernelCase.tolerance);
      } catch (const Error& error) {
        ADD_FAILURE() << error.what();
      }
      if (HasFatalFailure()) return;
    }
  }
  RecordProperty("kernels", took);
}

std::vector<std::string> otherKinds() {
  std::vector<std::string> kinds = deviceKinds();
  std::erase(kinds, "cpu");
  return kinds;
}

std::vector<KernelCase> allCases() {
  std::vector<KernelCase> all;
  auto append = [&](std::span<const KernelCase> cases) {
    all.insert(all.end(), cases.begin(), cases.end());
  };
#define CARNOT_CASES(name) append(name());
#include "kernel_cases.inc"
#undef CARNOT_CASES
  return all;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DeviceKernels);
INSTANTIATE_TEST_SUITE_P(Cases, DeviceKernels,
                         ::testing::Combine(::testing::ValuesIn(otherKinds()),
                                            ::testing::ValuesIn(allCases())),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
                         });

}  // namespace
}  // namespace carnot::test
