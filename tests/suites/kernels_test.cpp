#include "kernels/kernel.h"

#include <carnot/error.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "base/threads.h"
#include "close_to.h"
#include "devices/device.h"
#include "guarded_memory.h"
#include "kernel_cases.h"
#include "kernel_instance.h"
#include "kernels/parameters.h"
#include "tactics/tactics.h"

namespace carnot::test {
namespace {

using Touching = GuardedMemory::Touching;

// ---- Buffers that nothing may be read or written around.

// The weights as the engine's loader gives them: aligned to 64 bytes, never to be written.
struct GuardedWeights {
  explicit GuardedWeights(const std::vector<Tensor>& weights) {
    for (const Tensor& weight : weights) {
      memory.push_back(std::make_unique<GuardedMemory>(weight.bytes(), 64));
      if (weight.bytes()) std::memcpy(memory.back()->data(), weight.data(), weight.bytes());
      memory.back()->forbidWrites();
      views.push_back({memory.back()->data(), weight.dtype(), weight.dims()});
    }
  }
  std::vector<std::unique_ptr<GuardedMemory>> memory;
  std::vector<TensorView> views;
};

BindArguments bindArguments(const Prepared& prepared, const GuardedWeights& weights,
                            const DeviceTraits& device) {
  return {.parameters = prepared.parameters, .weights = weights.views, .device = device};
}

// The outputs of one run. Every buffer has a page behind or before it that may not be touched.
std::vector<Tensor> runGuarded(const Executable& executable, const Instance& instance,
                               std::span<const int> runtimeInputs,
                               const Configuration& configuration, const DeviceTraits& host,
                               Touching touching) {
  std::vector<std::unique_ptr<GuardedMemory>> inputs, outputs;
  std::vector<const void*> inputPointers;
  for (int input : runtimeInputs) {
    const Tensor& tensor = instance.inputs[static_cast<size_t>(input)].data;
    Layout layout = configuration.inputs[static_cast<size_t>(input)];
    inputs.push_back(guardedTensor(tensor.dtype(), tensor.dims(), layout, touching));
    toLayout(tensor, layout, *inputs.back());
    if (instance.outputOver(input) < 0) inputs.back()->forbidWrites();
    inputPointers.push_back(inputs.back()->data());
  }
  std::vector<void*> outputPointers;
  for (size_t i = 0; i < instance.expected.size(); ++i) {
    const Tensor& expected = instance.expected[i];
    outputs.push_back(
        guardedTensor(expected.dtype(), expected.dims(), configuration.outputs[i], touching));
    outputs.back()->fill(0xFF);
    if (const int under = instance.inputUnder(i); under >= 0)
      outputs.back() = std::move(inputs[static_cast<size_t>(
          std::ranges::find(runtimeInputs, under) - runtimeInputs.begin())]);
    outputPointers.push_back(outputs.back()->data());
  }
  GuardedMemory workspace(executable.workspaceBytes(), 64, touching);
  workspace.fill(0xFF);
  auto pool = ThreadPool::shared(host.threads);
  auto stream = openDevice(host)->createStream();
  executable.run({.inputs = inputPointers.data(),
                  .outputs = outputPointers.data(),
                  .workspace = workspace.data(),
                  .stream = stream.get(),
                  .pool = pool.get()});
  std::vector<Tensor> results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_TRUE(outputs[i]->intact()) << "writes outside output " << i;
    results.push_back(fromLayout(instance.expected[i].dtype(), instance.expected[i].dims(),
                                 configuration.outputs[i], *outputs[i]));
  }
  EXPECT_TRUE(workspace.intact()) << "writes outside the workspace";
  return results;
}

// ---- One kernel, one configuration.

// The shapes and formats of the tensors that a step would pass.
ConcreteShapes stepShapes(const Instance& instance, std::span<const int> runtimeInputs,
                          const Configuration& configuration) {
  ConcreteShapes shapes{.inputs = {}, .outputs = {}, .symbols = instance.symbols};
  for (int index : runtimeInputs) {
    auto input = static_cast<size_t>(index);
    const Tensor& data = instance.inputs[input].data;
    shapes.inputs.push_back(data.dims());
    shapes.inputFormats.push_back({{data.dtype(), configuration.inputs[input]}});
  }
  for (size_t i = 0; i < instance.expected.size(); ++i) {
    const Tensor& expected = instance.expected[i];
    shapes.outputs.push_back(expected.dims());
    shapes.outputFormats.push_back({{expected.dtype(), configuration.outputs[i]}});
  }
  return shapes;
}

void runConfiguration(const Kernel& kernel, const Instance& instance, const Problem& problem,
                      const Configuration& configuration, const DeviceTraits& host,
                      double tolerance) {
  ASSERT_EQ(configuration.inputs.size(), problem.inputs.size());
  ASSERT_EQ(configuration.outputs.size(), problem.outputs.size());
  Prepared prepared = kernel.prepare(problem, configuration);
  GuardedWeights weights(prepared.weights);
  auto bound = kernel.bind(bindArguments(prepared, weights, host));
  ConcreteShapes shapes = stepShapes(instance, prepared.runtimeInputs, configuration);
  ConcreteShapes allShapes{.inputs = {}, .outputs = shapes.outputs, .symbols = shapes.symbols};
  for (const CaseTensor& input : instance.inputs)
    allShapes.inputs.push_back(input.desc.present ? input.data.dims() : std::vector<int64_t>());
  EXPECT_GT(kernel.estimate(problem, configuration, allShapes), 0);
  auto executable = bound->specialize(shapes);
  EXPECT_LE(executable->workspaceBytes(), workspaceBound(problem, allShapes));

  std::vector<std::vector<Tensor>> results;
  for (Touching touching : {Touching::Last, Touching::First})
    results.push_back(
        runGuarded(*executable, instance, prepared.runtimeInputs, configuration, host, touching));
  for (size_t i = 0; i < instance.expected.size(); ++i) {
    EXPECT_TRUE(closeTo(results[0][i], instance.expected[i], tolerance)) << "output " << i;
    EXPECT_TRUE(results[0][i].sameBytes(results[1][i]))
        << "output " << i << " differs between runs";
  }
}

// Tensors of another type or layout than the kernel was prepared for, or left out, are refused.
void refuseOtherFormats(const BoundKernel& bound, const ConcreteShapes& shapes) {
  const std::optional<TensorFormat> others[] = {
      std::nullopt, {{DType::C128, {}}}, {{DType::F32, {Layout::Kind::ChannelBlocked, 64}}}};
  auto refuse = [&](std::vector<std::optional<TensorFormat>> ConcreteShapes::*formats) {
    for (size_t i = 0; i < (shapes.*formats).size(); ++i)
      for (const auto& other : others) {
        if ((shapes.*formats)[i] == other) continue;
        ConcreteShapes changed = shapes;
        (changed.*formats)[i] = other;
        EXPECT_THROW(bound.specialize(changed), Error);
      }
  };
  refuse(&ConcreteShapes::inputFormats);
  refuse(&ConcreteShapes::outputFormats);
}

// Damaged parameters and weights meet an Error, or give a kernel that refuses the step's tensors or
// stays within them; never a crash.
void runDamaged(const Kernel& kernel, const Instance& instance, const Problem& problem,
                const Configuration& configuration, const DeviceTraits& host) {
  Prepared prepared = kernel.prepare(problem, configuration);
  GuardedWeights weights(prepared.weights);
  const ConcreteShapes shapes = stepShapes(instance, prepared.runtimeInputs, configuration);
  refuseOtherFormats(*kernel.bind(bindArguments(prepared, weights, host)), shapes);
  constexpr size_t kMostWorkspace = size_t{64} << 20;
  auto survives = [&](const BindArguments& arguments, bool mustThrow) {
    try {
      auto bound = kernel.bind(arguments);
      EXPECT_FALSE(mustThrow) << "damaged parameters were accepted";
      auto executable = bound->specialize(shapes);
      if (executable->workspaceBytes() > kMostWorkspace) return;
      runGuarded(*executable, instance, prepared.runtimeInputs, configuration, host,
                 Touching::Last);
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
    }
  };
  size_t size = prepared.parameters.size();
  for (size_t length : {size_t{0}, size / 3, size - std::min<size_t>(size, 1)}) {
    if (length >= size) continue;
    BindArguments arguments = bindArguments(prepared, weights, host);
    arguments.parameters = arguments.parameters.first(length);
    survives(arguments, true);
  }
  std::mt19937 generator(7);
  for (int i = 0; i < 24 && size > 0; ++i) {
    std::vector<std::byte> damaged = prepared.parameters;
    damaged[generator() % size] = static_cast<std::byte>(generator());
    BindArguments arguments = bindArguments(prepared, weights, host);
    arguments.parameters = damaged;
    survives(arguments, false);
  }
  if (prepared.weights.empty()) return;
  BindArguments fewer = bindArguments(prepared, weights, host);
  fewer.weights.pop_back();
  survives(fewer, true);
}

const char* const kLevels[] = {"portable", "avx2", "avx512"};
// Beyond those: sets that only some kernels look at. CARNOT_TEST_ISA=1 runs every case with them.
const char* const kFurtherLevels[] = {"avx_vnni",    "avx512_vnni", "avx512_bf16",
                                      "avx512_fp16", "amx_int8",    "amx_bf16"};

std::vector<std::string> levelsOfHost(const KernelCase& kernelCase) {
  std::vector<std::string> levels(std::begin(kLevels), std::end(kLevels));
  if (std::getenv("CARNOT_TEST_ISA"))
    levels.insert(levels.end(), std::begin(kFurtherLevels), std::end(kFurtherLevels));
  for (const std::string& entry : kernelCase.supportedBy)
    if (const size_t at = entry.find('@'); at != std::string::npos)
      if (std::string level = entry.substr(at + 1);
          std::ranges::find(levels, level) == levels.end())
        levels.push_back(std::move(level));
  std::erase_if(levels,
                [](const std::string& name) { return !hostIsa().contains(parseIsa(name)); });
  return levels;
}

bool mustSupport(const KernelCase& kernelCase, std::string_view kernel, std::string_view level) {
  const bool portable = kernel.ends_with("/portable") || kernel == "reference";
  return std::ranges::any_of(kernelCase.supportedBy, [&](const std::string& entry) {
    const size_t at = entry.find('@');
    const std::string from = at != std::string::npos ? entry.substr(at + 1)
                             : portable              ? "portable"
                                                     : "avx2";
    return entry.substr(0, at) == kernel && parseIsa(level).contains(parseIsa(from));
  });
}

class Kernels : public ::testing::TestWithParam<KernelCase> {};

TEST_P(Kernels, AgreeWithTheReference) {
  const KernelCase& kernelCase = GetParam();
  Instance instance = makeInstance(kernelCase);
  for (const std::string& entry : kernelCase.supportedBy)
    ASSERT_TRUE(findKernel(entry.substr(0, entry.find('@')))) << "no kernel " << entry;
  for (const std::string& level : levelsOfHost(kernelCase)) {
    const IsaSet isa = parseIsa(level);
    for (int threads : {1, 2, 3}) {
      DeviceTraits host = hostTraits(threads);
      DeviceTraits device = host;
      device.isa = isa;
      Problem problem = instance.problem(device);
      problem.bf16 = kernelCase.bf16 && device.multipliesBf16();
      for (const Kernel* kernel : kernelsOf("cpu")) {
        if (kernel->name() == "reference" && (threads > 1 || isa != IsaSet{})) continue;
        Support support = kernel->supports(problem);
        if (auto* refusal = std::get_if<Refusal>(&support)) {
          EXPECT_FALSE(refusal->reason.empty()) << kernel->name();
          EXPECT_FALSE(mustSupport(kernelCase, kernel->name(), level))
              << kernel->name() << " refuses at " << level << ": " << refusal->reason;
          continue;
        }
        const auto& configurations = std::get<std::vector<Configuration>>(support);
        EXPECT_FALSE(configurations.empty()) << kernel->name();
        for (const Configuration& configuration : configurations) {
          SCOPED_TRACE(fmt::format("{} {{{}}}, {}, {} threads", kernel->name(),
                                   configuration.toString(), level, threads));
          runConfiguration(*kernel, instance, problem, configuration, host, kernelCase.tolerance);
          if (threads == 1) runDamaged(*kernel, instance, problem, configuration, host);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
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

std::string nameOf(const ::testing::TestParamInfo<KernelCase>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Cases, Kernels, ::testing::ValuesIn(allCases()), nameOf);
INSTANTIATE_TEST_SUITE_P(LongRandom, Kernels, ::testing::ValuesIn(randomCases(20240601, 40)),
                         nameOf);

TEST(KernelList, NamesAreUniqueAndFound) {
  for (const Kernel* kernel : kernelsOf("cpu")) EXPECT_EQ(findKernel(kernel->name()), kernel);
  EXPECT_EQ(kernelsOf("cpu").back()->name(), "reference");
  EXPECT_EQ(findKernel("cpu/none"), nullptr);
}

TEST(Problem, HashTellsTypesConstantsAndScalarsApart) {
  Region region = Region::parse("(a,b) c=Add(a,b) -> c");
  Tensor one = Tensor::scalar(DType::F32, 1), two = Tensor::scalar(DType::F32, 2);
  auto problem = [&](Shape a, const Tensor* b) {
    return Problem{.region = region,
                   .inputs = {{.shape = a}, {.shape = {}, .constant = b}},
                   .outputs = {{.shape = a}},
                   .device = {}};
  };
  uint64_t hash = problem({2, 3}, &one).hash();
  EXPECT_EQ(hash, problem({2, 3}, &one).hash());
  EXPECT_NE(hash, problem({2, 3}, &two).hash());
  EXPECT_NE(hash, problem({2, 3}, nullptr).hash());
  EXPECT_NE(hash, problem({3, 2}, &one).hash());
}

TEST(Problem, RoundingIsPartOfItsHashTextAndParameters) {
  Problem problem{.region = Region::parse("(a,b) c=MatMul(a,b) -> c"),
                  .inputs = {{.shape = {2, 3}}, {.shape = {3, 4}}},
                  .outputs = {{.shape = {2, 4}}},
                  .device = {}};
  Problem tf32 = problem;
  tf32.tf32 = true;
  EXPECT_NE(problem.hash(), tf32.hash());
  EXPECT_EQ(tf32.toString(), problem.toString() + " tf32");
  const Configuration plain{{}, plainLayouts(2), plainLayouts(1)};
  std::vector<std::byte> bytes = encodeProblem(tf32, plain);
  EXPECT_TRUE(decodeProblem(bytes, {}).problem.tf32);
  EXPECT_FALSE(decodeProblem(encodeProblem(problem, plain), {}).problem.tf32);
  bytes.push_back(std::byte{1});
  EXPECT_THROW(decodeProblem(bytes, {}), Error);
  Problem bf16 = problem;
  bf16.bf16 = true;
  EXPECT_NE(problem.hash(), bf16.hash());
  EXPECT_NE(tf32.hash(), bf16.hash());
  EXPECT_EQ(bf16.toString(), problem.toString() + " bf16");
  const Problem decoded = decodeProblem(encodeProblem(bf16, plain), {}).problem;
  EXPECT_TRUE(decoded.bf16);
  EXPECT_FALSE(decoded.tf32);
}

}  // namespace
}  // namespace carnot::test
