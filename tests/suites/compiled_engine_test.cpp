// Whole engines over this build's own kernels: right, placed well, allocating nothing when they
// run.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <thread>

#include "allocation_counter.h"
#include "builder/compile.h"
#include "devices/plugin.h"
#include "ir/text.h"
#include "kernels/kernel.h"
#include "runtime/runtime.h"

namespace carnot {
namespace {

using testing::AllocationCounter;

struct Network {
  const char* name;
  const char* text;
  std::vector<std::vector<int64_t>> points;  // values of the symbols
};

void PrintTo(const Network& network, std::ostream* out) { *out << network.name; }

const Network kNetworks[] = {
    {"Convolutions",
     R"(graph convolutions
input %x : float32[batch, 3, height, width]
const %w0 : float32[16, 3, 3, 3] = ...
const %b0 : float32[16] = ...
const %w1 : float32[16, 1, 3, 3] = ...
const %w2 : float32[32, 16, 1, 1] = ...
const %b2 : float32[32] = ...
const %w3 : float32[32, 32, 3, 3] = ...
const %w4 : float32[32, 10] = ...
%c0 : float32[batch, 16, height, width] = Conv{dilations=[1, 1], pads=[1, 1, 1, 1], strides=[1, 1]}(%x, %w0, %b0)
%r0 : float32[batch, 16, height, width] = Relu(%c0)
%c1 : float32[batch, 16, height, width] = Conv{dilations=[1, 1], group=16, pads=[1, 1, 1, 1], strides=[1, 1]}(%r0, %w1)
%s1 : float32[batch, 16, height, width] = HardSwish(%c1)
%c2 : float32[batch, 32, height, width] = Conv{dilations=[1, 1], pads=[0, 0, 0, 0], strides=[1, 1]}(%s1, %w2, %b2)
%c3 : float32[batch, 32, height, width] = Conv{dilations=[1, 1], pads=[1, 1, 1, 1], strides=[1, 1]}(%c2, %w3)
%a3 : float32[batch, 32, height, width] = Add(%c3, %c2)
%r3 : float32[batch, 32, height, width] = Relu(%a3)
%g : float32[batch, 32] = Reduce{axes=[2, 3], keepDims=false, kind=1}(%r3)
%l : float32[batch, 10] = MatMul(%g, %w4)
%y : float32[batch, 10] = Softmax{axis=1}(%l)
output %y
output %r3
)",
     {{1, 16, 16}, {3, 9, 21}, {2, 33, 8}, {0, 4, 4}}},
    {"Attention",
     R"(graph attention
input %x : float32[batch, seq, 32]
input %mask : float32[batch, 1, 1, seq]
const %wq : float32[32, 32] = ...
const %wk : float32[32, 32] = ...
const %wv : float32[32, 32] = ...
const %wo : float32[32, 32] = ...
const %up : float32[32, 128] = ...
const %down : float32[128, 32] = ...
const %scale : float32[32] = ...
const %bias : float32[32] = ...
const %root : float32[] = [0.35]
%q : float32[batch, seq, 32] = MatMul(%x, %wq)
%k : float32[batch, seq, 32] = MatMul(%x, %wk)
%v : float32[batch, seq, 32] = MatMul(%x, %wv)
%q4 : float32[batch, seq, 4, 8] = Reshape{shape=[batch, seq, 4, 8]}(%q)
%k4 : float32[batch, seq, 4, 8] = Reshape{shape=[batch, seq, 4, 8]}(%k)
%v4 : float32[batch, seq, 4, 8] = Reshape{shape=[batch, seq, 4, 8]}(%v)
%qt : float32[batch, 4, seq, 8] = Transpose{perm=[0, 2, 1, 3]}(%q4)
%kt : float32[batch, 4, 8, seq] = Transpose{perm=[0, 2, 3, 1]}(%k4)
%vt : float32[batch, 4, seq, 8] = Transpose{perm=[0, 2, 1, 3]}(%v4)
%s : float32[batch, 4, seq, seq] = MatMul(%qt, %kt)
%scaled : float32[batch, 4, seq, seq] = Mul(%s, %root)
%masked : float32[batch, 4, seq, seq] = Add(%scaled, %mask)
%p : float32[batch, 4, seq, seq] = Softmax{axis=3}(%masked)
%o : float32[batch, 4, seq, 8] = MatMul(%p, %vt)
%ot : float32[batch, seq, 4, 8] = Transpose{perm=[0, 2, 1, 3]}(%o)
%of : float32[batch, seq, 32] = Reshape{shape=[batch, seq, 32]}(%ot)
%op : float32[batch, seq, 32] = MatMul(%of, %wo)
%res : float32[batch, seq, 32] = Add(%op, %x)
%n : float32[batch, seq, 32] = LayerNorm{axis=2, epsilon=1e-05}(%res, %scale, %bias)
%u : float32[batch, seq, 128] = MatMul(%n, %up)
%g : float32[batch, seq, 128] = Gelu(%u)
%d : float32[batch, seq, 32] = MatMul(%g, %down)
%y : float32[batch, seq, 32] = Add(%d, %n)
output %y
)",
     {{1, 16}, {2, 7}, {3, 33}, {1, 1}}},
};

std::shared_ptr<const EngineData> compiled(const Network& network, bool referenceOnly = false,
                                           const std::string& kind = "cpu",
                                           std::optional<IsaSet> isa = std::nullopt) {
  CompileOptions options;
  options.device = deviceTraits(kind, 2);
  if (isa) options.device.isa = *isa;
  options.optimizationLevel = 0;
  options.tf32 = false;
  if (referenceOnly)
    for (const Kernel* kernel : kernelsOf("cpu"))
      if (kernel->name() != "reference") options.withoutKernels.emplace_back(kernel->name());
  return std::make_shared<EngineData>(*compile(parseGraph(network.text), options));
}

// A context on memory of its own, inputs filled by their position.
class Session {
 public:
  explicit Session(const std::shared_ptr<LoadedEngine>& engine)
      : data_(engine->engine()), context_(engine->createContext()) {}

  const std::vector<std::vector<float>>& at(const std::vector<int64_t>& point) {
    set(point);
    context_->run();
    return outputs_;
  }

  void set(const std::vector<int64_t>& point) {
    inputs_.clear();
    outputs_.clear();
    for (size_t i = 0; i < data_.inputs.size(); ++i) {
      std::vector<int64_t> dims;
      for (const DimProgram& dim : data_.tensors[data_.inputs[i]].dims)
        dims.push_back(dim.evaluate(point));
      std::vector<float>& values = inputs_.emplace_back(count(dims));
      for (size_t k = 0; k < values.size(); ++k)
        values[k] = static_cast<float>(std::sin(0.37 * static_cast<double>(k + i)));
      context_->setInputShape(static_cast<int>(i), dims);
      context_->setInputAddress(static_cast<int>(i), inputs_[i].data());
    }
    context_->prepare();
    for (size_t i = 0; i < data_.outputs.size(); ++i) {
      outputs_.emplace_back(count(context_->outputShape(static_cast<int>(i))));
      context_->setOutputAddress(static_cast<int>(i), outputs_[i].data());
    }
  }

  ExecutionContext& context() { return *context_; }

 private:
  static size_t count(std::span<const int64_t> dims) {
    return static_cast<size_t>(elementCount(dims));
  }

  const EngineData& data_;
  std::unique_ptr<ExecutionContext> context_;
  std::vector<std::vector<float>> inputs_, outputs_;
};

void expectClose(const std::vector<std::vector<float>>& has,
                 const std::vector<std::vector<float>>& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    double error = 0, norm = 0;
    for (size_t k = 0; k < wanted[i].size(); ++k) {
      error += std::pow(has[i][k] - wanted[i][k], 2);
      norm += std::pow(wanted[i][k], 2);
    }
    EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(norm)) << "output " << i;
  }
}

class CompiledEngine : public ::testing::TestWithParam<Network> {};

TEST_P(CompiledEngine, AgreesWithTheReference) {
  auto engine = LoadedEngine::create(compiled(GetParam()));
  auto oracle = LoadedEngine::create(compiled(GetParam(), true));
  for (const EngineStep& step : oracle->engine().steps)
    EXPECT_EQ(step.variants[0].kernel, "reference");
  Session fast(engine), slow(oracle);
  for (const std::vector<int64_t>& point : GetParam().points) {
    const auto& has = fast.at(point);
    expectClose(has, slow.at(point));
  }
}

TEST_P(CompiledEngine, IsTheSameEveryTime) {
  EXPECT_EQ(serializeEngine(*compiled(GetParam())), serializeEngine(*compiled(GetParam())));
}

TEST_P(CompiledEngine, KeepsMemoryNearTheLeast) {
  Session run(LoadedEngine::create(compiled(GetParam())));
  for (const std::vector<int64_t>& point : GetParam().points) {
    run.set(point);
    ExecutionContext::Memory memory = run.context().memory();
    EXPECT_LE(memory.arenaBytes, memory.lowerBoundBytes * 1.05);
  }
}

// As many images of 64 x 64 pixels as outgrow the caches by far.
int64_t manyImages() {
  const DeviceTraits traits = deviceTraits("cpu", 2);
  return static_cast<int64_t>(traits.l2Bytes) * traits.threads * 4 / (64 * 64 * 16 * 4) + 3;
}

TEST(SlicedEngine, GivesWhatEachImageGivesAlone) {
  auto engine = LoadedEngine::create(compiled(kNetworks[0]));
  const int64_t images = manyImages();
  Session one(engine), all(engine);
  const std::vector<std::vector<float>> first = one.at({1, 64, 64});
  const std::vector<std::vector<float>> together = all.at({images, 64, 64});
  // What flows between layers is there for a few images at a time.
  EXPECT_LT(all.context().memory().arenaBytes, images * one.context().memory().arenaBytes * 3 / 4);
  for (size_t i = 0; i < first.size(); ++i)
    for (size_t k = 0; k < first[i].size(); ++k) ASSERT_EQ(together[i][k], first[i][k]);

  AllocationCounter counter;
  all.context().run();
  EXPECT_EQ(counter.count(), 0);
  std::vector<StepTime> times;
  all.context().runProfiled(times);
  for (const StepTime& time : times) EXPECT_GT(time.milliseconds, 0);
  size_t watched = 0;
  all.context().runWatched([&](int, int, const TensorView& view) {
    EXPECT_EQ(view.dims[0], images);
    for (int64_t k = 0; k < view.count(); k += 1021) EXPECT_TRUE(std::isfinite(view.loadDouble(k)));
    ++watched;
  });
  EXPECT_GE(watched, engine->engine().steps.size());
  EXPECT_EQ(all.context().outputShape(0)[0], images);
  EXPECT_EQ(all.at({images, 64, 64}), together);
}

TEST(SlicedEngine, AgreesWhereImagesMeet) {
  const Network network{"AcrossTheBatch",
                        R"(graph across
input %x : float32[batch, 16, height, width]
const %w : float32[16, 1, 3, 3] = ...
%c : float32[batch, 16, height, width] = Conv{dilations=[1, 1], group=16, pads=[1, 1, 1, 1], strides=[1, 1]}(%x, %w)
%s : float32[batch, 16, height, width] = Softmax{axis=0}(%c)
%d : float32[batch, 16, height, width] = Conv{dilations=[1, 1], group=16, pads=[1, 1, 1, 1], strides=[1, 1]}(%s, %w)
%a : float32[batch, 16, height, width] = Add(%d, %x)
%m : float32[1, 16, height, width] = Reduce{axes=[0], keepDims=true, kind=1}(%a)
%y : float32[batch, 16, height, width] = Sub(%a, %m)
output %y
)",
                        {}};
  Session fast(LoadedEngine::create(compiled(network)));
  Session slow(LoadedEngine::create(compiled(network, true)));
  const std::vector<int64_t> point{manyImages(), 64, 64};
  const auto& has = fast.at(point);
  expectClose(has, slow.at(point));
}

TEST_P(CompiledEngine, AllocatesNothingOnceAShapeHasRun) {
  for (const IsaSet& isa : {hostIsa(), parseIsa("portable")}) {
    const auto engine = compiled(GetParam(), false, "cpu", isa);
    // References allocate: of attention there is no other kernel without an instruction set.
    if (std::ranges::any_of(engine->steps, [](const EngineStep& step) {
          return step.variants.front().kernel == "reference";
        }))
      continue;
    Session run(LoadedEngine::create(engine));
    for (const std::vector<int64_t>& point : GetParam().points) {
      run.at(point);
      AllocationCounter counter;
      for (int i = 0; i < 3; ++i) run.context().run();
      EXPECT_EQ(counter.count(), 0) << isaNames(isa);
    }
  }
}

TEST_P(CompiledEngine, RunsOnThreadsAsAlone) {
  auto engine = LoadedEngine::create(compiled(GetParam()));
  std::vector<std::vector<std::vector<float>>> alone;
  Session serial(engine);
  for (const std::vector<int64_t>& point : GetParam().points) alone.push_back(serial.at(point));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      Session run(engine);
      for (int i = 0; i < 3; ++i)
        for (size_t p = 0; p < alone.size(); ++p) EXPECT_EQ(run.at(GetParam().points[p]), alone[p]);
    });
  for (std::thread& thread : threads) thread.join();
}

// On every kind of device that is here.
class DeviceEngine : public ::testing::TestWithParam<std::tuple<std::string, Network>> {
 protected:
  std::string kind() const { return std::get<0>(GetParam()); }
  const Network& network() const { return std::get<1>(GetParam()); }
};

TEST_P(DeviceEngine, AgreesWithTheReferenceAtEveryRun) {
  auto data = compiled(network(), false, kind());
  auto saved = deserializeEngine(serializeEngine(*data));
  Session fast(LoadedEngine::create(saved));
  Session slow(LoadedEngine::create(compiled(network(), true)));
  for (int round = 0; round < 3; ++round)
    for (const std::vector<int64_t>& point : network().points) {
      const auto& wanted = slow.at(point);
      for (int run = 0; run < 3; ++run) expectClose(fast.at(point), wanted);
    }
}

TEST_P(DeviceEngine, TakesAddressesOfTheDevice) {
  auto engine = LoadedEngine::create(compiled(network(), false, kind()));
  Session host(engine);
  const std::vector<int64_t>& point = network().points.front();
  const auto wanted = host.at(point);
  auto device = openDevice(deviceTraits(kind(), 2));
  auto stream = device->createStream();
  std::vector<std::shared_ptr<Buffer>> outputs[2];
  for (auto& set : outputs)
    for (const std::vector<float>& output : wanted)
      set.push_back(device->allocate(output.size() * sizeof(float)));
  for (int run = 0; run < 6; ++run) {
    auto& set = outputs[run / 2 % 2];
    for (size_t i = 0; i < set.size(); ++i) {
      device->fillZero(set[i]->data(), set[i]->bytes(), *stream);
      host.context().setOutputAddress(static_cast<int>(i), set[i]->data());
    }
    stream->synchronize();
    host.context().run();
    std::vector<std::vector<float>> has;
    for (size_t i = 0; i < set.size(); ++i) {
      has.emplace_back(wanted[i].size());
      device->copyFromDevice(has[i].data(), set[i]->data(), set[i]->bytes(), *stream);
    }
    stream->synchronize();
    EXPECT_EQ(has, wanted) << "run " << run;
  }
}

TEST_P(DeviceEngine, TimesEachStep) {
  Session run(LoadedEngine::create(compiled(network(), false, kind())));
  run.at(network().points.front());
  std::vector<StepTime> times;
  run.context().runProfiled(times);
  for (const StepTime& time : times) EXPECT_GE(time.milliseconds, 0);
  size_t seen = 0;
  run.context().runWatched([&](int, int, const TensorView& view) {
    seen += view.dtype == DType::F32 && std::isfinite(view.loadDouble(0));
  });
  EXPECT_GT(seen, 0u);
}

TEST_P(DeviceEngine, TimesThePartsOfARun) {
  Session run(LoadedEngine::create(compiled(network(), false, kind())));
  const auto& wanted = run.at(network().points.front());
  const ExecutionContext::RunParts parts = run.context().runParts();
  EXPECT_GE(parts.compute, 0);
  EXPECT_EQ(parts.copyIn > 0, kind() != "cpu");
  EXPECT_EQ(parts.copyOut > 0, kind() != "cpu");
  expectClose(run.at(network().points.front()), wanted);
}

TEST_P(DeviceEngine, KeepsNoMemoryOverRunsAndShapes) {
  if (kind() == "cpu") GTEST_SKIP() << "the host's memory is everyone's";
  auto device = openDevice(deviceTraits(kind(), 2));
  const auto data = compiled(network(), false, kind());
  size_t before = 0, after = 0;
  for (int round = 0; round < 2; ++round) {
    if (round == 1) before = device->freeBytes();  // after what libraries keep
    Session run(LoadedEngine::create(data));
    const auto& points = network().points;
    for (int change = 0; change < 100; ++change) {
      run.at(points[change % points.size()]);
      for (int again = 0; again < 9; ++again) run.context().run();
      if (round == 1 && change == 10) after = device->freeBytes();
    }
    if (round == 1) {
      EXPECT_EQ(device->freeBytes(), after) << "within 890 runs and 89 shapes";
    }
  }
  EXPECT_EQ(device->freeBytes(), before) << "over an engine's life";
  RecordProperty("runs", 1000);
  RecordProperty("shapes", 100);
}

std::vector<std::string> driverCalls;

// Of a run's calls to the driver those from the first launch to the last neither wait nor allocate.
TEST_P(DeviceEngine, IssuesARunWithoutWaitingOrAllocating) {
  if (kind() != "cuda") GTEST_SKIP() << "no launches";
  auto trace =
      reinterpret_cast<void (*)(void (*)(const char*))>(pluginSymbol(kind(), "carnotTraceDriver"));
  ASSERT_TRUE(trace);
  const auto data = compiled(network(), false, kind());
  for (const EngineStep& step : data->steps)
    for (const EngineStep::Variant& variant : step.variants)
      if (variant.kernel == "cuda/host") GTEST_SKIP() << step.name << " runs on the host";
  Session run(LoadedEngine::create(data));
  for (int warm = 0; warm < 3; ++warm) run.at(network().points.front());
  driverCalls.clear();
  trace([](const char* name) { driverCalls.emplace_back(name); });
  run.context().run();
  trace(nullptr);
  auto launches = [](const std::string& call) {
    return call.starts_with("cuGraphLaunch") || call.starts_with("cuLaunchKernel");
  };
  const auto first = std::find_if(driverCalls.begin(), driverCalls.end(), launches);
  const auto last = std::find_if(driverCalls.rbegin(), driverCalls.rend(), launches).base();
  ASSERT_NE(first, driverCalls.end());
  for (auto call = first; call != last; ++call) {
    EXPECT_EQ(call->find("Synchronize"), std::string::npos) << *call;
    EXPECT_EQ(call->find("Alloc"), std::string::npos) << *call;
    EXPECT_EQ(call->find("MemFree"), std::string::npos) << *call;
  }
  RecordProperty("launches", static_cast<int>(std::count_if(first, last, launches)));
  RecordProperty("calls", static_cast<int>(driverCalls.size()));
}

INSTANTIATE_TEST_SUITE_P(All, DeviceEngine,
                         ::testing::Combine(::testing::ValuesIn(deviceKinds()),
                                            ::testing::ValuesIn(kNetworks)),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
                         });

INSTANTIATE_TEST_SUITE_P(All, CompiledEngine, ::testing::ValuesIn(kNetworks),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace carnot
