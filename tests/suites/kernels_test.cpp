#include "kernels/kernel.h"

#include <carnot/error.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <sstream>

#include "base/threads.h"
#include "devices/device.h"
#include "guarded_memory.h"
#include "kernel_cases.h"
#include "tactics/tactics.h"

namespace carnot::test {
namespace {

// ---- Cases as problems with data.

struct CaseTensor {
  TensorDesc desc;
  Tensor data;  // logical, row-major
};

struct Instance {
  Region region;
  std::vector<CaseTensor> inputs;
  std::vector<TensorType> outputs;  // of the problem, perhaps symbolic
  std::vector<Tensor> expected;
  std::map<std::string, int64_t> symbols;

  Problem problem(const DeviceTraits& device) const {
    Problem problem{.region = region, .inputs = {}, .outputs = {}, .device = device};
    for (const CaseTensor& input : inputs) problem.inputs.push_back(input.desc);
    for (const TensorType& type : outputs)
      problem.outputs.push_back({.dtype = type.dtype, .shape = type.shape});
    return problem;
  }
};

void fillRandom(const Tensor& tensor, double low, double high, uint32_t seed) {
  std::mt19937 generator(seed);
  TensorView view = tensor.view();
  for (int64_t i = 0; i < view.count(); ++i) {
    if (isFloat(view.dtype))
      view.storeDouble(i, std::uniform_real_distribution<double>(low, high)(generator));
    else if (isComplex(view.dtype))
      view.storeComplex(i, {std::uniform_real_distribution<double>(low, high)(generator),
                            std::uniform_real_distribution<double>(low, high)(generator)});
    else
      view.storeInt(i, std::uniform_int_distribution<int64_t>(std::llround(low),
                                                              std::llround(high))(generator));
  }
}

CaseTensor parseInput(std::string text, uint32_t seed, std::map<std::string, int64_t>& symbols) {
  CaseTensor out;
  if (text == "absent") {
    out.desc.present = false;
    return out;
  }
  bool constant = text.starts_with("const ");
  if (constant) text.erase(0, 6);
  size_t open = text.find('['), close = text.find(']');
  if (open == std::string::npos || close == std::string::npos ||
      !parseDType(text.substr(0, open), out.desc.dtype))
    throw std::invalid_argument("a case's input reads '" + text + "'");
  std::vector<int64_t> dims;
  std::stringstream list(text.substr(open + 1, close - open - 1));
  for (std::string item; std::getline(list, item, ',');) {
    item.erase(0, item.find_first_not_of(' '));
    size_t equals = item.find('=');
    dims.push_back(std::stoll(equals == std::string::npos ? item : item.substr(equals + 1)));
    if (equals == std::string::npos) {
      out.desc.shape.push(dims.back());
    } else {
      symbols[item.substr(0, equals)] = dims.back();
      out.desc.shape.push(Dim::symbol(item.substr(0, equals)));
    }
  }
  out.data = Tensor(out.desc.dtype, dims);
  std::stringstream rest(text.substr(close + 1));
  std::string word;
  rest >> word;
  if (word == "=") {
    for (int64_t i = 0; i < out.data.count(); ++i) {
      double value = 0;
      rest >> value;
      out.data.view().storeDouble(i, value);
    }
  } else {
    bool real = isFloat(out.desc.dtype) || isComplex(out.desc.dtype);
    double low = real ? -1 : 0, high = real || out.desc.dtype == DType::Bool ? 1 : 9;
    if (word == "in") rest >> low >> word >> high;
    fillRandom(out.data, low, high, seed);
  }
  if (!rest && !rest.eof()) throw std::invalid_argument("a case's input reads '" + text + "'");
  return out;
}

Instance makeInstance(const KernelCase& kernelCase) {
  Instance instance;
  instance.region = Region::parse(kernelCase.region);
  uint32_t seed = 1;
  for (const std::string& text : kernelCase.inputs)
    instance.inputs.push_back(parseInput(text, seed++, instance.symbols));
  std::vector<TensorType> types;
  std::vector<const Tensor*> constants;
  std::vector<TensorView> views;
  for (CaseTensor& input : instance.inputs) {
    types.push_back({input.desc.dtype, input.desc.shape});
    views.push_back(input.desc.present ? input.data.view() : TensorView{});
  }
  for (size_t i = 0; i < kernelCase.inputs.size(); ++i) {
    CaseTensor& input = instance.inputs[i];
    if (kernelCase.inputs[i].starts_with("const ")) input.desc.constant = &input.data;
    constants.push_back(input.desc.constant);
  }
  types = inferRegion(instance.region, types, constants);
  std::vector<TensorView> outputs;
  for (int output : instance.region.outputs) {
    const TensorType& type = types[static_cast<size_t>(output)];
    instance.outputs.push_back(type);
    auto lookup = [&](const std::string& name) { return instance.symbols.at(name); };
    instance.expected.emplace_back(type.dtype, type.shape.evaluate(lookup));
  }
  for (const Tensor& tensor : instance.expected) outputs.push_back(tensor.view());
  std::map<std::string, Dim> symbols;
  for (const auto& [symbol, value] : instance.symbols) symbols.emplace(symbol, value);
  referenceRegion(instance.region.substitute(symbols), {views, outputs, {}});
  return instance;
}

// ---- Layouts.

// Index in memory of each logical element, in row-major order of the logical dims.
std::vector<int64_t> elementPlaces(Layout layout, const std::vector<int64_t>& dims) {
  int64_t count = elementCount(dims);
  std::vector<int64_t> places(static_cast<size_t>(count));
  std::vector<int64_t> physical = physicalDims(layout, dims);
  std::vector<int64_t> index(dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    std::vector<int64_t> at = index;
    if (layout.kind == Layout::Kind::ChannelsLast) {
      at.erase(at.begin() + 1);
      at.push_back(index[1]);
    } else if (layout.kind == Layout::Kind::ChannelBlocked) {
      at[1] = index[1] / layout.block;
      at.push_back(index[1] % layout.block);
    }
    int64_t place = 0;
    for (size_t axis = 0; axis < at.size(); ++axis) place = place * physical[axis] + at[axis];
    places[static_cast<size_t>(i)] = place;
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++index[axis] < dims[axis]) break;
      index[axis] = 0;
    }
  }
  return places;
}

// An application may pass plain tensors at any address that suits the type; all others are aligned.
std::unique_ptr<GuardedMemory> guardedTensor(DType dtype, const std::vector<int64_t>& dims,
                                             Layout layout, bool constant) {
  size_t bytes = dtypeBytes(dtype, physicalCount(layout, dims));
  size_t element = std::max<size_t>(1, static_cast<size_t>(dtypeBits(dtype)) / 8);
  return std::make_unique<GuardedMemory>(bytes, layout.isPlain() && !constant ? element : 64);
}

void toLayout(const Tensor& tensor, Layout layout, GuardedMemory& out) {
  if (layout.isPlain()) {
    if (tensor.bytes()) std::memcpy(out.data(), tensor.data(), tensor.bytes());
    return;
  }
  out.fill(0xFF);  // NaN, in the lanes that no kernel may use
  size_t element = static_cast<size_t>(dtypeBits(tensor.dtype())) / 8;
  auto places = elementPlaces(layout, tensor.dims());
  for (size_t i = 0; i < places.size(); ++i)
    std::memcpy(static_cast<char*>(out.data()) + static_cast<size_t>(places[i]) * element,
                static_cast<const char*>(tensor.data()) + i * element, element);
}

Tensor fromLayout(DType dtype, const std::vector<int64_t>& dims, Layout layout,
                  const GuardedMemory& memory) {
  Tensor tensor(dtype, dims);
  if (layout.isPlain()) {
    if (tensor.bytes()) std::memcpy(tensor.as<char>(), memory.data(), tensor.bytes());
    return tensor;
  }
  size_t element = static_cast<size_t>(dtypeBits(dtype)) / 8;
  auto places = elementPlaces(layout, dims);
  for (size_t i = 0; i < places.size(); ++i)
    std::memcpy(tensor.as<char>() + i * element,
                static_cast<const char*>(memory.data()) + static_cast<size_t>(places[i]) * element,
                element);
  return tensor;
}

// ---- Comparison.

double toleranceOf(DType dtype, double base) {
  switch (dtype) {
    case DType::F16:
      return std::max(base, 2e-3);
    case DType::BF16:
      return std::max(base, 1.6e-2);
    default:
      return base;
  }
}

::testing::AssertionResult closeTo(const Tensor& actual, const Tensor& expected, double base) {
  TensorView a = actual.view(), e = expected.view();
  if (!isFloat(expected.dtype())) {
    if (actual.sameBytes(expected)) return ::testing::AssertionSuccess();
    for (int64_t i = 0; i < e.count(); ++i)
      if (isInteger(e.dtype) && a.loadInt(i) != e.loadInt(i))
        return ::testing::AssertionFailure()
               << "element " << i << " is " << a.loadInt(i) << ", not " << e.loadInt(i);
    return ::testing::AssertionFailure() << "bytes differ";
  }
  double tolerance = toleranceOf(expected.dtype(), base);
  double difference = 0, norm = 0;
  int64_t finite = 0;
  for (int64_t i = 0; i < e.count(); ++i) {
    double x = a.loadDouble(i), y = e.loadDouble(i);
    if (!std::isfinite(y) || !std::isfinite(x)) {
      if (x == y || (std::isnan(x) && std::isnan(y))) continue;
      return ::testing::AssertionFailure() << "element " << i << " is " << x << ", not " << y;
    }
    difference += (x - y) * (x - y);
    norm += y * y;
    ++finite;
  }
  double scale = finite ? std::sqrt(norm / static_cast<double>(finite)) : 0;
  for (int64_t i = 0; i < e.count(); ++i) {
    double x = a.loadDouble(i), y = e.loadDouble(i);
    if (std::abs(x - y) > 10 * tolerance * (std::abs(y) + scale) + 1e-30)
      return ::testing::AssertionFailure()
             << "element " << i << " is " << x << ", not " << y << " (rms " << scale << ")";
  }
  if (difference > tolerance * tolerance * norm + 1e-60)
    return ::testing::AssertionFailure() << "relative L2 distance " << std::sqrt(difference / norm);
  return ::testing::AssertionSuccess();
}

// ---- One kernel, one configuration.

struct Loaded {
  Prepared prepared;
  std::unique_ptr<BoundKernel> bound;
};

BindArguments bindArguments(const Prepared& prepared, const DeviceTraits& device) {
  BindArguments arguments{.parameters = prepared.parameters, .weights = {}, .device = device};
  for (const Tensor& weight : prepared.weights) arguments.weights.push_back(weight.view());
  return arguments;
}

void runConfiguration(const Kernel& kernel, const Instance& instance, const Problem& problem,
                      const Configuration& configuration, const DeviceTraits& host,
                      double tolerance) {
  ASSERT_EQ(configuration.inputs.size(), problem.inputs.size());
  ASSERT_EQ(configuration.outputs.size(), problem.outputs.size());
  Prepared prepared = kernel.prepare(problem, configuration);
  auto bound = kernel.bind(bindArguments(prepared, host));
  ConcreteShapes shapes, allShapes;
  shapes.symbols = allShapes.symbols = instance.symbols;
  for (const CaseTensor& input : instance.inputs)
    allShapes.inputs.push_back(input.desc.present ? input.data.dims() : std::vector<int64_t>());
  for (int input : prepared.runtimeInputs)
    shapes.inputs.push_back(allShapes.inputs.at(static_cast<size_t>(input)));
  for (const Tensor& output : instance.expected) shapes.outputs.push_back(output.dims());
  allShapes.outputs = shapes.outputs;
  EXPECT_GT(kernel.estimate(problem, configuration, allShapes), 0);
  auto executable = bound->specialize(shapes);
  EXPECT_LE(executable->workspaceBytes(), workspaceBound(problem, allShapes));

  std::vector<std::unique_ptr<GuardedMemory>> inputs, outputs;
  std::vector<const void*> inputPointers;
  for (int input : prepared.runtimeInputs) {
    const CaseTensor& tensor = instance.inputs[static_cast<size_t>(input)];
    Layout layout = configuration.inputs[static_cast<size_t>(input)];
    inputs.push_back(
        guardedTensor(tensor.data.dtype(), tensor.data.dims(), layout, tensor.desc.constant));
    toLayout(tensor.data, layout, *inputs.back());
    inputPointers.push_back(inputs.back()->data());
  }
  GuardedMemory workspace(executable->workspaceBytes(), 64);
  auto pool = ThreadPool::shared(host.threads);
  auto stream = openCpu(host)->createStream();
  std::vector<std::vector<Tensor>> results(2);
  for (std::vector<Tensor>& result : results) {
    outputs.clear();
    std::vector<void*> outputPointers;
    for (size_t i = 0; i < instance.expected.size(); ++i) {
      const Tensor& expected = instance.expected[i];
      outputs.push_back(
          guardedTensor(expected.dtype(), expected.dims(), configuration.outputs[i], false));
      outputs.back()->fill(0xFF);
      outputPointers.push_back(outputs.back()->data());
    }
    workspace.fill(0xFF);
    executable->run({.inputs = inputPointers.data(),
                     .outputs = outputPointers.data(),
                     .workspace = workspace.data(),
                     .stream = stream.get(),
                     .pool = pool.get()});
    for (size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_TRUE(outputs[i]->intact()) << "writes outside output " << i;
      result.push_back(fromLayout(instance.expected[i].dtype(), instance.expected[i].dims(),
                                  configuration.outputs[i], *outputs[i]));
    }
    EXPECT_TRUE(workspace.intact()) << "writes outside the workspace";
    for (const auto& input : inputs) EXPECT_TRUE(input->intact()) << "writes around an input";
  }
  for (size_t i = 0; i < instance.expected.size(); ++i) {
    EXPECT_TRUE(closeTo(results[0][i], instance.expected[i], tolerance)) << "output " << i;
    EXPECT_TRUE(results[0][i].sameBytes(results[1][i]))
        << "output " << i << " differs between runs";
  }
}

// bind meets damaged parameters and weights with an Error or a kernel, never with a crash.
void bindDamaged(const Kernel& kernel, const Problem& problem, const Configuration& configuration,
                 const DeviceTraits& host) {
  Prepared prepared = kernel.prepare(problem, configuration);
  auto survives = [&](const BindArguments& arguments, bool mustThrow) {
    try {
      kernel.bind(arguments);
      EXPECT_FALSE(mustThrow) << "damaged parameters were accepted";
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
    }
  };
  size_t size = prepared.parameters.size();
  for (size_t length : {size_t{0}, size / 3, size - std::min<size_t>(size, 1)}) {
    if (length >= size) continue;
    BindArguments arguments = bindArguments(prepared, host);
    arguments.parameters = arguments.parameters.first(length);
    survives(arguments, true);
  }
  std::mt19937 generator(7);
  for (int i = 0; i < 24 && size > 0; ++i) {
    std::vector<std::byte> damaged = prepared.parameters;
    damaged[generator() % size] = static_cast<std::byte>(generator());
    BindArguments arguments = bindArguments(prepared, host);
    arguments.parameters = damaged;
    survives(arguments, false);
  }
  if (prepared.weights.empty()) return;
  BindArguments fewer = bindArguments(prepared, host);
  fewer.weights.pop_back();
  survives(fewer, true);
}

const char* const kLevels[] = {"portable", "avx2", "avx512"};

bool mustSupport(const KernelCase& kernelCase, std::string_view kernel, std::string_view level) {
  auto rank = [](std::string_view name) { return std::ranges::find(kLevels, name) - kLevels; };
  for (const std::string& entry : kernelCase.supportedBy) {
    size_t at = entry.find('@');
    if (entry.substr(0, at) != kernel) continue;
    bool portable = kernel.ends_with("/portable") || kernel == "reference";
    std::string from = at != std::string::npos ? entry.substr(at + 1)
                       : portable              ? "portable"
                                               : "avx2";
    return rank(level) >= rank(from);
  }
  return false;
}

class Kernels : public ::testing::TestWithParam<KernelCase> {};

TEST_P(Kernels, AgreeWithTheReference) {
  const KernelCase& kernelCase = GetParam();
  Instance instance = makeInstance(kernelCase);
  for (const std::string& entry : kernelCase.supportedBy)
    ASSERT_TRUE(findKernel(entry.substr(0, entry.find('@')))) << "no kernel " << entry;
  for (const char* level : kLevels) {
    IsaSet isa = parseIsa(level);
    if (!hostIsa().contains(isa)) continue;
    for (int threads : {1, 2, 3}) {
      DeviceTraits host = hostTraits(threads);
      DeviceTraits device = host;
      device.isa = isa;
      Problem problem = instance.problem(device);
      for (const Kernel* kernel : cpuKernels()) {
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
          if (threads == 1) bindDamaged(*kernel, problem, configuration, host);
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

INSTANTIATE_TEST_SUITE_P(Cases, Kernels, ::testing::ValuesIn(allCases()),
                         [](const auto& info) { return info.param.name; });

TEST(KernelList, NamesAreUniqueAndFound) {
  for (const Kernel* kernel : cpuKernels()) EXPECT_EQ(findKernel(kernel->name()), kernel);
  EXPECT_EQ(cpuKernels().back()->name(), "reference");
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

}  // namespace
}  // namespace carnot::test
