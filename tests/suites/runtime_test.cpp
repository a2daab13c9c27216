#include "runtime/runtime.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "allocation_counter.h"
#include "base/error.h"
#include "sample_engine.h"
#include "sample_kernel.h"
#include "suites/support/errors.h"

namespace carnot {
namespace {

using testing::AllocationCounter;
using testing::errorOf;
using testing::SampleEngine;
using testing::ScaledSum;

constexpr const char* kSum = "test/scaled_sum";

EngineStep& sum(SampleEngine& sample, const std::string& name, std::vector<int32_t> inputs,
                int32_t output, float factor) {
  EngineStep& step =
      sample.step(name, std::move(inputs), {output}, kSum, ScaledSum::parameters(factor));
  step.variants[0].revision = 2;
  return step;
}

std::shared_ptr<LoadedEngine> loaded(EngineData data, int threads = 2) {
  validateEngine(data);
  BindOptions options;
  options.threads = threads;
  options.findKernel = testing::findSampleKernel;
  return LoadedEngine::create(std::make_shared<EngineData>(std::move(data)), options);
}

std::vector<float> ramp(size_t count, float start = 0) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), start);
  return values;
}

// The error's text; "" when nothing is thrown.
void expectMentions(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in: " << text;
}

// y = 3 * (2 * (x + x) + x), with 16 steps between that double and halve.
EngineData chain() {
  SampleEngine sample;
  int32_t x = sample.input("x", {"batch", "width"});
  int32_t at = sample.activation("t0", {"batch", "width"});
  sum(sample, "double", {x, x}, at, 2);
  for (int i = 1; i <= 16; ++i) {
    int32_t next = sample.activation("t" + std::to_string(i), {"batch", "width"});
    sum(sample, "step" + std::to_string(i), {at}, next, i % 2 ? 2.0f : 0.5f);
    at = next;
  }
  int32_t y = sample.output("y", {"batch", "width"});
  sum(sample, "last", {at, x}, y, 3);
  return sample.data;
}

void expectChain(ExecutionContext& context, int64_t batch, int64_t width, float start) {
  const int64_t dims[] = {batch, width};
  size_t count = static_cast<size_t>(batch * width);
  std::vector<float> x = ramp(count, start), y(count, -1);
  context.setInputShape(0, dims);
  context.prepare();
  ASSERT_TRUE(std::ranges::equal(context.outputShape(0), dims));
  context.setInputAddress(0, x.data());
  context.setOutputAddress(0, y.data());
  context.run();
  for (size_t i = 0; i < count; ++i) ASSERT_EQ(y[i], 15 * x[i]) << i;
}

TEST(Runtime, RunsAnyShapeInTurn) {
  auto context = loaded(chain())->createContext();
  const int64_t shapes[][2] = {{1, 1}, {3, 7}, {64, 129}, {0, 5}, {3, 7}, {2, 0}, {1, 1}};
  for (const auto& shape : shapes) expectChain(*context, shape[0], shape[1], 1);
}

TEST(Runtime, MemoryFollowsTheShape) {
  auto context = loaded(chain())->createContext();
  for (int64_t width : {1, 100, 1000, 30}) {
    expectChain(*context, 2, width, 0);
    ExecutionContext::Memory memory = context->memory();
    int64_t tensor = (2 * width * 4 + 63) / 64 * 64;
    EXPECT_EQ(memory.lowerBoundBytes, 3 * tensor) << "an input, an output and a workspace";
    EXPECT_EQ(memory.arenaBytes, memory.lowerBoundBytes);
  }
}

TEST(Runtime, KnownShapesAreNotSpecializedAgain) {
  auto engine = loaded(chain());
  auto context = engine->createContext(), other = engine->createContext();
  expectChain(*context, 1, 5, 0);
  int before = ScaledSum::specialized;
  expectChain(*other, 1, 5, 0);
  EXPECT_EQ(ScaledSum::specialized, before) << "contexts share plans";
  for (int64_t width = 10; width < 10 + 63; ++width) expectChain(*context, 1, width, 0);
  before = ScaledSum::specialized;
  expectChain(*context, 1, 5, 0);
  EXPECT_EQ(ScaledSum::specialized, before) << "64 shapes are kept";
  for (int64_t width = 100; width < 100 + 64; ++width) expectChain(*context, 1, width, 0);
  before = ScaledSum::specialized;
  expectChain(*context, 1, 5, 0);
  EXPECT_GT(ScaledSum::specialized, before) << "no more than 64 are";
}

TEST(Runtime, AllocatesNothingOnceAShapeHasRun) {
  auto context = loaded(chain())->createContext();
  std::vector<float> x = ramp(4096), y(4096), z(4096);
  auto runAt = [&](int64_t batch, int64_t width, float* out) {
    const int64_t dims[] = {batch, width};
    context->setInputShape(0, dims);
    context->prepare();
    context->outputShape(0);
    context->setInputAddress(0, x.data());
    context->setOutputAddress(0, out);
    context->run();
  };
  runAt(8, 512, y.data());
  runAt(2, 100, y.data());
  AllocationCounter counter;
  for (int i = 0; i < 3; ++i) {
    runAt(8, 512, y.data());
    runAt(2, 100, z.data());
    runAt(2, 100, z.data());
  }
  EXPECT_EQ(counter.count(), 0);
}

TEST(Runtime, ContextsOnThreadsAgreeWithOneAlone) {
  auto engine = loaded(chain());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto context = engine->createContext();
      for (int i = 0; i < 50; ++i) expectChain(*context, 1 + (i + t) % 5, 33 + i % 7, t);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(Runtime, ViewsShareMemory) {
  SampleEngine sample;
  int32_t x = sample.input("x", {"n", "4"});
  // Concatenation by writing into parts, then read as a whole, flattened and in part.
  int32_t joined = sample.activation("joined", {"2*n", "4"});
  int32_t upper = sample.viewOf(sample.activation("upper", {"n", "4"}), joined);
  int32_t lower = sample.viewOf(sample.activation("lower", {"n", "4"}), joined, "16*n");
  int32_t flat = sample.viewOf(sample.activation("flat", {"8*n"}), joined);
  int32_t row = sample.viewOf(sample.activation("row", {"4"}), x);
  int32_t pad = sample.activation("pad", {"n", "4"});
  int32_t y = sample.output("y", {"8*n"});
  int32_t z = sample.output("z", {"8"});
  int32_t zFirst = sample.viewOf(sample.activation("zFirst", {"4"}), z);
  int32_t zSecond = sample.viewOf(sample.activation("zSecond", {"4"}), z, "16");
  sum(sample, "upper", {x}, upper, 1);
  sum(sample, "pad", {x}, pad, 100);  // lands where `joined` must not be
  sum(sample, "lower", {x}, lower, -1);
  sum(sample, "flat", {flat}, y, 2);
  sum(sample, "zFirst", {row}, zFirst, 5);
  sum(sample, "zSecond", {row, row}, zSecond, 5);
  auto context = loaded(sample.data)->createContext();
  for (int64_t n : {1, 3, 50}) {
    size_t count = static_cast<size_t>(4 * n);
    std::vector<float> in = ramp(count, 1), first(2 * count), second(8);
    const int64_t dims[] = {n, 4};
    context->setInputShape(0, dims);
    context->setInputAddress(0, in.data());
    context->setOutputAddress(0, first.data());
    context->setOutputAddress(1, second.data());
    context->run();
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(first[i], 2 * in[i]);
      ASSERT_EQ(first[count + i], -2 * in[i]);
    }
    for (size_t i = 0; i < 8; ++i) EXPECT_EQ(second[i], (i < 4 ? 5 : 10) * in[i % 4]);
  }
}

// y = s before the run, which leaves s = 2 * (s + x).
EngineData accumulator() {
  SampleEngine sample;
  int32_t x = sample.input("x", {"n"});
  int32_t s = sample.state("s", {"n"});
  int32_t y = sample.output("y", {"n"});
  int32_t after = sample.viewOf(sample.activation("after", {"n"}), s);
  sum(sample, "read", {s}, y, 1);
  sum(sample, "update", {s, x}, after, 2);
  return sample.data;
}

TEST(Runtime, StatesKeepTheirContents) {
  auto engine = loaded(accumulator());
  auto context = engine->createContext(), other = engine->createContext();
  std::vector<float> x = {1, 2, 3}, y(3), s(3), apart = {7, 7, 7};
  const int64_t dims[] = {3};
  for (auto* each : {&context, &other}) {
    (*each)->setInputShape(0, dims);
    (*each)->setInputShape(1, dims);
    (*each)->setInputAddress(0, x.data());
    (*each)->setOutputAddress(0, y.data());
  }
  context->setInputAddress(1, s.data());
  other->setInputAddress(1, apart.data());
  for (float before : {0.0f, 2.0f, 6.0f}) {
    context->run();
    EXPECT_EQ(y, (std::vector<float>{before, 2 * before, 3 * before}));
  }
  EXPECT_EQ(s, (std::vector<float>{14, 28, 42}));
  other->run();
  EXPECT_EQ(apart, (std::vector<float>{16, 18, 20}));
  EXPECT_EQ(s, (std::vector<float>{14, 28, 42}));
}

TEST(Runtime, StatesHaveMemoryOfTheirOwn) {
  auto context = loaded(accumulator())->createContext();
  std::vector<float> x(3), y(3);
  const int64_t dims[] = {3};
  context->setInputShape(0, dims);
  expectMentions(errorOf([&] { context->run(); }), {"s"});
  context->setInputShape(1, dims);
  context->setInputAddress(0, x.data());
  context->setOutputAddress(0, y.data());
  expectMentions(errorOf([&] { context->run(); }), {"no memory for state s"});
  context->setInputAddress(1, x.data() + 1);
  expectMentions(errorOf([&] { context->run(); }), {"state s", "input x"});
  context->setInputAddress(1, y.data() + 1);
  expectMentions(errorOf([&] { context->run(); }), {"output y", "input s"});
}

TEST(Runtime, CopiesOutWhatNoStepWrites) {
  SampleEngine sample;
  int32_t x = sample.input("x", {"n"});
  int32_t five = sample.constant("five", Tensor::ofFloats({2}, std::vector<float>{5, 6}));
  int32_t shape = sample.shape("shape", {"n", "2*n + 1"});
  int32_t t = sample.activation("t", {"n"});
  int32_t y = sample.output("y", {"n"});
  sum(sample, "t", {x}, t, 2);
  sum(sample, "y", {t}, y, 3);
  sample.data.outputs.insert(sample.data.outputs.end(), {x, five, shape, t});
  sample.data.tensors[sample.output("y again", {"n"})].viewOf = y;
  sample.data.tensors[sample.output("t again", {"n"})].viewOf = t;
  auto context = loaded(sample.data)->createContext();
  std::vector<float> in = {1, 2, 3};
  std::vector<std::vector<float>> out(7, std::vector<float>(4));
  const int64_t dims[] = {3};
  context->setInputShape(0, dims);
  context->setInputAddress(0, in.data());
  for (int i = 0; i < 7; ++i) context->setOutputAddress(i, out[i].data());
  context->run();
  using Floats = std::vector<float>;
  EXPECT_EQ(out[0], (Floats{6, 12, 18, 0}));
  EXPECT_EQ(out[1], (Floats{1, 2, 3, 0}));
  EXPECT_EQ(out[2], (Floats{5, 6, 0, 0}));
  int64_t contents[2];
  std::memcpy(contents, out[3].data(), sizeof contents);
  EXPECT_EQ(contents[0], 3);
  EXPECT_EQ(contents[1], 7);
  EXPECT_EQ(out[4], (Floats{2, 4, 6, 0}));
  EXPECT_EQ(out[5], (Floats{6, 12, 18, 0}));
  EXPECT_EQ(out[6], (Floats{2, 4, 6, 0}));
}

TEST(Runtime, TakesTheVariantTunedNearest) {
  SampleEngine sample;
  int32_t x = sample.input("x", {"n"});
  int32_t y = sample.output("y", {"n"});
  EngineStep& step = sum(sample, "y", {x}, y, 1);
  step.variants[0].tunedAt = {1, 1000};
  step.variants.push_back({kSum, 2, ScaledSum::parameters(2), {}, {64}});
  auto context = loaded(sample.data)->createContext();
  const std::pair<int64_t, int> cases[] = {{0, 0},  {1, 0},   {9, 0},  {12, 1},
                                           {64, 1}, {200, 1}, {300, 0}};
  for (auto [n, variant] : cases) {
    std::vector<float> in(static_cast<size_t>(n), 1), out(static_cast<size_t>(n));
    context->setInputShape(0, {&n, 1});
    context->setInputAddress(0, in.data());
    context->setOutputAddress(0, out.data());
    context->run();
    EXPECT_EQ(context->chosenVariants()[0], variant) << n;
    for (float value : out) EXPECT_EQ(value, variant + 1);
  }
}

TEST(Runtime, TellsStepsAndTheirOutputs) {
  SampleEngine sample;
  int32_t x = sample.input("x", {"2"});
  int32_t t = sample.activation("t", {"2"});
  int32_t y = sample.output("y", {"2"});
  int32_t factor = sample.weight(Tensor::ofFloats({}, std::vector<float>{4}));
  sum(sample, "t", {x, -1}, t, 0).variants[0].weights = {factor};
  sum(sample, "y", {t}, y, 10);
  auto context = loaded(sample.data)->createContext();  // fixed shapes need not be set
  std::vector<float> in = {1, 2}, out(2);
  context->setInputAddress(0, in.data());
  context->setOutputAddress(0, out.data());
  std::vector<StepTime> times;
  context->runProfiled(times);
  ASSERT_EQ(times.size(), 2u);
  EXPECT_EQ(times[1].step, 1);
  EXPECT_GE(times[1].milliseconds, 0);
  std::vector<std::pair<int, double>> seen;
  context->runWatched([&](int step, int tensor, const TensorView& view) {
    EXPECT_EQ(tensor, step == 0 ? t : y);
    EXPECT_EQ(view.dims.size(), 1u);
    seen.emplace_back(step, view.loadDouble(1));
  });
  EXPECT_EQ(seen, (std::vector<std::pair<int, double>>{{0, 8}, {1, 80}}));
}

TEST(Runtime, TakesAddressesAlignedToElements) {
  auto context = loaded(chain())->createContext();
  std::vector<float> in = ramp(100), out(100);
  const int64_t dims[] = {3, 7};
  context->setInputShape(0, dims);
  for (size_t shift : {1, 2, 3}) {
    context->setInputAddress(0, in.data() + shift);
    context->setOutputAddress(0, out.data() + shift);
    context->run();
    EXPECT_EQ(out[shift + 20], 15 * in[shift + 20]);
  }
}

TEST(Runtime, RefusesEnginesThatCannotRunHere) {
  EngineData kernel = chain();
  kernel.steps[2].variants[0].kernel = "test/unknown";
  expectMentions(errorOf([&] { loaded(kernel); }), {"step step2", "test/unknown", "carnot "});
  EngineData revision = chain();
  revision.steps[2].variants[0].revision = 3;
  expectMentions(errorOf([&] { loaded(revision); }), {"revision 3", "revision 2", "build"});
  EngineData device = chain();
  device.meta.deviceKind = "npu";
  expectMentions(errorOf([&] { loaded(device); }), {"npu", "cpu"});
  EngineData isa = chain();
  isa.meta.isaBits = 0xffffffff;
  expectMentions(errorOf([&] { loaded(isa); }), {isaNames(hostIsa()), "amx"});
  EngineData parameters = chain();
  parameters.steps[1].variants[0].parameters.pop_back();
  expectMentions(errorOf([&] { loaded(parameters); }), {"step step1", "wrong size"});
}

TEST(Runtime, RefusesShapesThatDoNotFit) {
  SampleEngine sample;
  int32_t a = sample.input("a", {"batch", "4"});
  int32_t b = sample.input("b", {"width"});
  int32_t c = sample.input("c", {"batch", "2*width"});
  int32_t y = sample.output("y", {"batch - 1"});
  sum(sample, "y", {a, b, c}, y, 1);
  sample.data.guards.push_back({sample.program("width"), sample.program("3"), "b is as wide as d"});
  using Dims = std::vector<std::vector<int64_t>>;
  struct Case {
    Dims dims;
    std::vector<std::string> mentions;
  };
  const Case cases[] = {
      {{{2, 5}}, {"[2, 5]", "input a", "[batch, 4]"}},
      {{{2}}, {"[2]", "input a"}},
      {{{-2, 4}}, {"[-2, 4]", "input a"}},
      {{{2, 4}, {3}}, {"no shape for input c"}},
      {{{2, 4}, {3}, {3, 6}}, {"input c", "= 3", "batch = 2 (of input a)"}},
      {{{2, 4}, {3}, {2, 8}}, {"input c", "= 8", "needs 6", "width = 3 (of input b)"}},
      {{{2, 4}, {4}, {2, 8}}, {"b is as wide as d", "4 against 3"}},
      {{{0, 4}, {3}, {0, 6}}, {"tensor y", "-1"}},
      {{{1LL << 40, 4}, {3}, {1LL << 40, 6}}, {"tensor a", "the memory that there is"}},
  };
  auto engine = loaded(sample.data);
  for (const Case& c : cases) {
    auto context = engine->createContext();
    std::string text = errorOf([&] {
      for (size_t i = 0; i < c.dims.size(); ++i)
        context->setInputShape(static_cast<int>(i), c.dims[i]);
      context->prepare();
    });
    expectMentions(text, c.mentions);
    EXPECT_NE(errorOf([&] { context->outputShape(0); }), "");
  }
}

TEST(Runtime, KeepsToEnforcedProfiles) {
  EngineData data = chain();
  data.profiles.push_back({{{1, 1, 4}, {8, 8, 16}}, true});
  data.profiles.push_back({{{1, 1, 8}, {32, 64, 64}}, true});
  auto context = loaded(data)->createContext();
  expectChain(*context, 4, 16, 0);
  expectChain(*context, 8, 32, 0);
  context->setProfile(1);
  expectChain(*context, 8, 64, 0);
  const int64_t dims[] = {2, 8};
  context->setInputShape(0, dims);
  std::string text = errorOf([&] { context->prepare(); });
  expectMentions(text, {"width = 8 (dimension 1 of input x)", "profile 1", "width from 32 to 64"});
  EXPECT_EQ(text.find("profile 0"), std::string::npos) << text;
  context->setProfile(-1);
  expectChain(*context, 2, 8, 0);
  const int64_t wide[] = {1, 20};
  context->setInputShape(0, wide);
  expectMentions(errorOf([&] { context->prepare(); }), {"profile 0", "or profile 1", "= 20"});
  EXPECT_NE(errorOf([&] { context->setProfile(2); }), "");
  EXPECT_NE(errorOf([&] { context->setProfile(-2); }), "");
}

TEST(Runtime, RefusesAddressesThatDoNotFit) {
  auto context = loaded(chain())->createContext();
  const int64_t dims[] = {2, 3};
  std::vector<float> in(6), out(6);
  context->setInputShape(0, dims);
  expectMentions(errorOf([&] { context->run(); }), {"no memory for input x", "24 bytes"});
  context->setInputAddress(0, in.data());
  expectMentions(errorOf([&] { context->run(); }), {"no memory for output y"});
  context->setOutputAddress(0, in.data() + 5);
  expectMentions(errorOf([&] { context->run(); }), {"output y", "input x"});
  context->setOutputAddress(0, out.data());
  EXPECT_EQ(errorOf([&] { context->run(); }), "");
  expectMentions(
      errorOf([&] { context->setInputAddress(0, reinterpret_cast<char*>(in.data()) + 1); }),
      {"input x", "multiple of 4"});
  EXPECT_NE(errorOf([&] { context->setInputAddress(1, in.data()); }), "");
  EXPECT_NE(errorOf([&] { context->setOutputAddress(-1, in.data()); }), "");
}

TEST(Runtime, NamesTheStepThatFails) {
  SampleEngine sample;
  int32_t x = sample.input("x", {"2"});
  int32_t y = sample.output("y", {"2"});
  sample.step("gather rows", {x}, {y}, "test/failing");
  auto context = loaded(sample.data)->createContext();
  std::vector<float> in(2), out(2);
  context->setInputAddress(0, in.data());
  context->setOutputAddress(0, out.data());
  expectMentions(errorOf([&] { context->run(); }), {"step gather rows", "an index of 7"});
}

}  // namespace
}  // namespace carnot
