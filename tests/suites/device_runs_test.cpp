// Runs of an engine where the application's memory changes, and on streams of the application.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "builder/compile.h"
#include "devices/plugin.h"
#include "ir/text.h"
#include "kernels/kernel.h"
#include "runtime/runtime.h"

namespace carnot {
namespace {

constexpr const char* kNetwork = R"(graph network
input %x : float32[batch, 16, 32, 32]
input %z : float32[batch, 10]
const %w : float32[32, 16, 3, 3] = ...
const %v : float32[32, 10] = ...
%c : float32[batch, 32, 32, 32] = Conv{dilations=[1, 1], pads=[1, 1, 1, 1], strides=[1, 1]}(%x, %w)
%r : float32[batch, 32, 32, 32] = Relu(%c)
%g : float32[batch, 32] = Reduce{axes=[2, 3], keepDims=false, kind=1}(%r)
%l : float32[batch, 10] = MatMul(%g, %v)
%a : float32[batch, 10] = Add(%l, %z)
%y : float32[batch, 10] = Softmax{axis=1}(%a)
output %y
output %r
)";

constexpr size_t kTensors = 4;  // two inputs, two outputs
constexpr size_t kElements[kTensors] = {16 * 32 * 32, 10, 10, 32 * 32 * 32};  // at batch 1

using Values = std::vector<std::vector<float>>;  // of each tensor

std::shared_ptr<LoadedEngine> loaded(const std::string& kind, const std::string& text = kNetwork) {
  CompileOptions options;
  options.device = deviceTraits(kind, 2);
  options.optimizationLevel = 0;
  options.tf32 = false;
  return LoadedEngine::create(std::make_shared<EngineData>(*compile(parseGraph(text), options)));
}

void setShapes(ExecutionContext& context, int64_t batch) {
  context.setInputShape(0, std::vector<int64_t>{batch, 16, 32, 32});
  context.setInputShape(1, std::vector<int64_t>{batch, 10});
  context.prepare();
}

void setAddresses(ExecutionContext& context, const std::vector<void*>& addresses) {
  for (int i = 0; i < 2; ++i) {
    context.setInputAddress(i, addresses[i]);
    context.setOutputAddress(i, addresses[2 + i]);
  }
}

Values madeUp(int64_t batch, int seed) {
  Values values;
  for (size_t t = 0; t < kTensors; ++t) {
    values.emplace_back(kElements[t] * batch);
    for (size_t k = 0; k < values[t].size() && t < 2; ++k)
      values[t][k] = static_cast<float>(std::sin(0.37 * static_cast<double>(k + 71 * seed + t)));
  }
  return values;
}

// Outputs by an engine for the CPU.
void fillExpected(ExecutionContext& context, int64_t batch, Values& values) {
  setShapes(context, batch);
  std::vector<void*> addresses;
  for (std::vector<float>& tensor : values) addresses.push_back(tensor.data());
  setAddresses(context, addresses);
  context.run();
}

void expectClose(const std::vector<float>& has, const std::vector<float>& wanted) {
  double error = 0, norm = 0;
  for (size_t k = 0; k < wanted.size(); ++k) {
    error += std::pow(has[k] - wanted[k], 2);
    norm += std::pow(wanted[k], 2);
  }
  EXPECT_LE(std::sqrt(error), 1e-5 * std::sqrt(norm));
}

class DeviceRuns : public ::testing::TestWithParam<std::string> {
 protected:
  // Memory for all tensors, the inputs filled; `shift` bytes behind an aligned address.
  struct Set {
    std::vector<std::shared_ptr<Buffer>> buffers;
    std::vector<void*> addresses;
    Values values;
  };
  Set makeSet(int64_t batch, int seed, size_t shift = 0) {
    Set set;
    set.values = madeUp(batch, seed);
    for (const std::vector<float>& tensor : set.values) {
      const size_t bytes = tensor.size() * sizeof(float);
      set.buffers.push_back(device->allocate(bytes + shift));
      set.addresses.push_back(static_cast<std::byte*>(set.buffers.back()->data()) + shift);
      device->copyToDevice(set.addresses.back(), tensor.data(), bytes, *stream);
    }
    stream->synchronize();
    return set;
  }
  void checkOutputs(const Set& set) {
    for (size_t t = 2; t < kTensors; ++t) {
      std::vector<float> has(set.values[t].size());
      device->copyFromDevice(has.data(), set.addresses[t], has.size() * sizeof(float), *stream);
      stream->synchronize();
      expectClose(has, set.values[t]);
      device->fillZero(set.addresses[t], has.size() * sizeof(float), *stream);
    }
    stream->synchronize();
  }
  std::shared_ptr<Device> device = openDevice(deviceTraits(GetParam(), 2));
  std::unique_ptr<Stream> stream = device->createStream();
  std::unique_ptr<ExecutionContext> oracle = loaded("cpu")->createContext();
};

int captures = 0;

TEST_P(DeviceRuns, TakeEightSetsOfAddressesInTurn) {
  using Trace = void (*)(void (*)(const char*));
  const auto trace = GetParam() == "cuda"
                         ? reinterpret_cast<Trace>(pluginSymbol(GetParam(), "carnotTraceDriver"))
                         : nullptr;
  auto context = loaded(GetParam())->createContext();
  setShapes(*context, 1);
  std::vector<Set> sets, shifted;
  for (int i = 0; i < 8; ++i) {
    sets.push_back(makeSet(1, i));
    shifted.push_back(makeSet(1, i, 64 * (i % 4)));
    fillExpected(*oracle, 1, sets.back().values);
  }
  auto runOn = [&](const Set& set) {
    setAddresses(*context, set.addresses);
    context->run();
  };
  // All apart at once, as an application's; what is learned is learned in the first round.
  for (const Set& set : sets) {
    runOn(set);
    checkOutputs(set);
  }
  captures = 0;
  if (trace)
    trace([](const char* name) {
      captures += std::string_view(name).starts_with("cuStreamBeginCapture");
    });
  for (int round = 0; round < 3; ++round)
    for (const Set& set : sets) {
      runOn(set);
      checkOutputs(set);
    }
  if (trace) trace(nullptr);
  EXPECT_EQ(captures, 0);
  // Inputs and outputs of different sets, so that they no longer move together.
  for (size_t i = 0; i < 16; ++i) {
    Set mixed = sets[i % 8];
    for (size_t t : {0, 1}) mixed.addresses[t] = sets[(i + 3) % 8].addresses[t];
    mixed.values = sets[(i + 3) % 8].values;
    runOn(mixed);
    checkOutputs(mixed);
  }
  for (size_t i = 0; i < 8; ++i) {  // of other alignment
    shifted[i].values = sets[i].values;
    runOn(shifted[i]);
    checkOutputs(shifted[i]);
  }
}

// Kernels that are ours, NVIDIA's, and of descriptors that hold addresses.
TEST_P(DeviceRuns, PatchTheAddressesOfEveryKindOfKernel) {
  if (GetParam() == "cpu") GTEST_SKIP() << "nothing is recorded";
  const auto trace = reinterpret_cast<void (*)(void (*)(const char*))>(
      pluginSymbol(GetParam(), "carnotTraceDriver"));
  constexpr const char* kProduct = R"(graph product
input %x : float16[256, 512]
const %w : float16[512, 512] = ...
%y : float16[256, 512] = MatMul(%x, %w)
output %y
)";
  for (const char* only : {"cublaslt/matmul", "cuda/product"}) {
    CompileOptions options;
    options.device = deviceTraits(GetParam(), 2);
    options.optimizationLevel = 0;
    for (const Kernel* kernel : kernelsOf(GetParam()))
      if (kernel->name() != only && kernel->name() != "cuda/host")
        options.withoutKernels.emplace_back(kernel->name());
    const auto data = std::make_shared<EngineData>(*compile(parseGraph(kProduct), options));
    if (data->steps[0].variants[0].kernel != only) continue;
    auto context = LoadedEngine::create(data)->createContext();
    constexpr size_t kIn = 256 * 512 * 2, kOut = 256 * 512 * 2;
    std::vector<std::shared_ptr<Buffer>> inputs, outputs;
    for (int i = 0; i < 8; ++i) {
      inputs.push_back(device->allocate(kIn));
      outputs.push_back(device->allocate(kOut));
      device->fill(inputs.back()->data(), 0x3c00 + 64 * i, 2, kIn / 2, *stream);
    }
    stream->synchronize();
    captures = 0;
    double sum = 0;
    for (int i = 0; i < 24; ++i) {
      if (i == 8)
        trace([](const char* name) {
          captures += std::string_view(name).starts_with("cuStreamBeginCapture");
        });
      context->setInputAddress(0, inputs[i % 8]->data());
      context->setOutputAddress(0, outputs[i * 3 % 8]->data());
      device->fillZero(outputs[i * 3 % 8]->data(), kOut, *stream);
      stream->synchronize();
      context->run();
      uint16_t has = 0;
      device->copyFromDevice(&has, outputs[i * 3 % 8]->data(), 2, *stream);
      stream->synchronize();
      // Every element of the input is 1 + i / 16: a row of the weights' sum times that.
      const int64_t one[] = {1};
      const double value = TensorView{&has, DType::F16, one}.loadDouble(0);
      if (i == 0) sum = value;
      EXPECT_NEAR(value, sum * (1 + i % 8 / 16.0), 0.02 * std::abs(sum) + 0.01)
          << only << ", run " << i;
    }
    trace(nullptr);
    if (only != std::string_view("cublaslt/matmul")) {
      EXPECT_EQ(captures, 0) << only;
    }
    RecordProperty(std::string("captures ") + only, captures);
  }
}

// Of fifty layers: where nothing moves, where all moves, and where a recording is made anew because
// memory moves by less than kernels may be aligned to.
TEST_P(DeviceRuns, TellWhatChangedAddressesCost) {
  if (GetParam() == "cpu") GTEST_SKIP() << "nothing is recorded";
  std::string text = "graph deep\ninput %x0 : float32[1, 256]\n", layers;
  for (int i = 0; i < 50; ++i) {
    text += fmt::format("const %w{} : float32[256, 256] = ...\n", i);
    layers += fmt::format("%m{0} : float32[1, 256] = MatMul(%x{0}, %w{0})\n", i);
    layers += fmt::format("%x{1} : float32[1, 256] = Tanh(%m{0})\n", i, i + 1);
  }
  auto context = loaded(GetParam(), text + layers + "output %x50\n")->createContext();
  // Eight sets in turn, or one; each `shift` bytes further behind an aligned address than the last.
  auto runAll = [&](size_t sets, size_t shift) {
    std::vector<std::shared_ptr<Buffer>> memory;
    for (int i = 0; i < 16; ++i) memory.push_back(device->allocate(2048));
    std::vector<double> times;
    for (size_t i = 0; i < 100; ++i) {
      const size_t at = i % sets;
      auto place = [&](size_t which) {
        return static_cast<std::byte*>(memory[which]->data()) + at % 4 * shift;
      };
      context->setInputAddress(0, place(at));
      context->setOutputAddress(0, place(8 + at));
      const auto start = std::chrono::steady_clock::now();
      context->run();
      const std::chrono::duration<double, std::micro> spent =
          std::chrono::steady_clock::now() - start;
      if (i >= 20) times.push_back(spent.count());
    }
    std::ranges::sort(times);
    return times[times.size() / 2];
  };
  RecordProperty("same_us", std::to_string(runAll(1, 0)));
  RecordProperty("moved_us", std::to_string(runAll(8, 0)));
  RecordProperty("recorded_us", std::to_string(runAll(8, 64)));
}

TEST_P(DeviceRuns, FollowTheApplicationsStreams) {
  constexpr int64_t kBatch = 8;
  const auto engine = loaded(GetParam());
  struct Lane {
    std::unique_ptr<ExecutionContext> context;
    std::unique_ptr<Stream> stream;
    Set set;
    std::shared_ptr<Buffer> host[kTensors];
  };
  std::vector<Lane> lanes(2);
  for (size_t i = 0; i < lanes.size(); ++i) {
    Lane& lane = lanes[i];
    lane.context = engine->createContext();
    lane.stream = device->createStream(true);
    lane.set = makeSet(kBatch, static_cast<int>(i) + 20);
    fillExpected(*oracle, kBatch, lane.set.values);
    setShapes(*lane.context, kBatch);
    setAddresses(*lane.context, lane.set.addresses);
    for (size_t t = 0; t < kTensors; ++t)
      lane.host[t] = device->allocateHost(lane.set.values[t].size() * sizeof(float));
  }
  // Copies, runs and copies of both lanes are issued before either is waited for.
  for (int round = 0; round < 4; ++round) {
    for (Lane& lane : lanes) {
      for (size_t t = 0; t < 2; ++t) {
        std::memcpy(lane.host[t]->data(), lane.set.values[t].data(), lane.host[t]->bytes());
        device->fillZero(lane.set.addresses[t], lane.host[t]->bytes(), *lane.stream);
        device->copyToDevice(lane.set.addresses[t], lane.host[t]->data(), lane.host[t]->bytes(),
                             *lane.stream);
      }
      lane.context->enqueue(lane.stream->native());
      for (size_t t = 2; t < kTensors; ++t)
        device->copyFromDevice(lane.host[t]->data(), lane.set.addresses[t], lane.host[t]->bytes(),
                               *lane.stream);
    }
    for (Lane& lane : lanes) {
      lane.stream->synchronize();
      for (size_t t = 2; t < kTensors; ++t) {
        const auto* has = static_cast<const float*>(lane.host[t]->data());
        expectClose({has, has + lane.set.values[t].size()}, lane.set.values[t]);
        std::memset(lane.host[t]->data(), 0, lane.host[t]->bytes());
      }
    }
  }
  // One context on one stream after another keeps its order, and a run that waits comes last.
  for (int i = 0; i < 6; ++i) lanes[0].context->enqueue(lanes[i % 2].stream->native());
  lanes[0].context->run();
  checkOutputs(lanes[0].set);
  // The host's memory takes part: done when the call returns.
  Values host = madeUp(kBatch, 20);
  std::vector<void*> addresses;
  for (std::vector<float>& tensor : host) addresses.push_back(tensor.data());
  setAddresses(*lanes[0].context, addresses);
  lanes[0].context->enqueue(lanes[0].stream->native());
  for (size_t t = 2; t < kTensors; ++t) expectClose(host[t], lanes[0].set.values[t]);
}

// Each round's context and stream are new: the first run is issued to the application's stream,
// which is gone by the next round, the second is recorded.
TEST_P(DeviceRuns, RecordConvolutionsOfTwoThreadsAtOnce) {
  constexpr int kRounds = 12;
  CompileOptions options;
  options.device = deviceTraits(GetParam(), 2);
  options.optimizationLevel = 0;
  options.tf32 = false;
  if (GetParam() == "cuda") options.withoutKernels = {"cuda/conv", "cublaslt/conv", "cuda/product"};
  const auto data = std::make_shared<EngineData>(*compile(parseGraph(kNetwork), options));
  if (GetParam() == "cuda") {
    EXPECT_TRUE(std::ranges::any_of(data->steps, [](const auto& step) {
      return !step.variants.empty() && step.variants[0].kernel == "cudnn/conv";
    }));
  }
  struct Lane {
    std::shared_ptr<LoadedEngine> engine;
    std::vector<Set> sets;
    std::vector<std::string> errors;
  };
  std::vector<Lane> lanes(2);
  for (size_t i = 0; i < lanes.size(); ++i) {
    lanes[i].engine = LoadedEngine::create(data);
    for (int batch = 1; batch <= 4; ++batch) {
      lanes[i].sets.push_back(makeSet(batch, static_cast<int>(i) + 30));
      fillExpected(*oracle, batch, lanes[i].sets.back().values);
    }
  }
  std::vector<std::jthread> threads;
  for (Lane& lane : lanes)
    threads.emplace_back([&lane, this] {
      for (int round = 0; round < kRounds; ++round) try {
          const Set& set = lane.sets[static_cast<size_t>(round) % lane.sets.size()];
          const auto context = lane.engine->createContext();
          const auto own = device->createStream(round % 2 == 0);
          setShapes(*context, 1 + round % 4);
          setAddresses(*context, set.addresses);
          for (int run = 0; run < 3; ++run) context->enqueue(own->native());
          own->synchronize();
        } catch (const std::exception& error) {
          lane.errors.emplace_back(error.what());
        }
    });
  threads.clear();
  for (const Lane& lane : lanes) {
    EXPECT_EQ(lane.errors, std::vector<std::string>{});
    for (const Set& set : lane.sets) checkOutputs(set);
  }
}

TEST_P(DeviceRuns, GoBesideEachOther) {
  if (GetParam() == "cpu") GTEST_SKIP() << "work is done when the call returns";
  constexpr int64_t kBatch = 1024;
  const auto engine = loaded(GetParam());
  const auto busy = engine->createContext(), other = engine->createContext();
  const auto long_ = device->createStream(true), short_ = device->createStream(true);
  const Set heavy = makeSet(kBatch, 1);
  Set light = makeSet(1, 2);
  fillExpected(*oracle, 1, light.values);
  setShapes(*busy, kBatch);
  setAddresses(*busy, heavy.addresses);
  setShapes(*other, 1);
  setAddresses(*other, light.addresses);
  for (int warm = 0; warm < 3; ++warm) {
    busy->enqueue(long_->native());
    other->enqueue(short_->native());
  }
  long_->synchronize();
  short_->synchronize();
  for (int i = 0; i < 300; ++i) busy->enqueue(long_->native());
  other->enqueue(short_->native());
  short_->synchronize();
  EXPECT_FALSE(long_->idle()) << "the short work waited for the long";
  long_->synchronize();
  checkOutputs(light);
}

INSTANTIATE_TEST_SUITE_P(All, DeviceRuns, ::testing::ValuesIn(deviceKinds()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace carnot
