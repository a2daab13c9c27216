#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "allocation_counter.h"
#include "base/error.h"
#include "runtime/runtime.h"
#include "sample_engine.h"
#include "sample_kernel.h"
#include "suites/support/errors.h"

namespace carnot {
namespace {

using testing::AllocationCounter;
using testing::errorOf;
using testing::SampleEngine;
using testing::ScaledSum;

void sum(SampleEngine& sample, const std::string& name, std::vector<int32_t> inputs, int32_t output,
         float factor) {
  EngineStep& step = sample.step(name, std::move(inputs), {output}, "test/scaled_sum",
                                 ScaledSum::parameters(factor));
  step.variants[0].revision = 2;
}

std::shared_ptr<LoadedEngine> loaded(EngineData data) {
  validateEngine(data);
  BindOptions options;
  options.threads = 1;
  options.findKernel = testing::findSampleKernel;
  return LoadedEngine::create(std::make_shared<EngineData>(std::move(data)), options);
}

// Memory for one output, as an application gives it.
struct Taken {
  std::vector<float> values = std::vector<float>(64);
  std::vector<int64_t> dims;

  Taken() { dims.reserve(4); }
  ExecutionContext::Allocator allocator() {
    return [this](size_t bytes, std::span<const int64_t> found) {
      EXPECT_LE(bytes, values.size() * sizeof(float));
      dims.assign(found.begin(), found.end());
      return static_cast<void*>(values.data());
    };
  }
  std::vector<float> result() const {
    int64_t count = 1;
    for (int64_t dim : dims) count *= dim;
    return {values.begin(), values.begin() + count};
  }
};

// y = 2 * (positives of 3 * x) + 10 * first, where `first` is computed before and read after.
EngineData positives(bool guarded = false) {
  SampleEngine sample;
  const int32_t x = sample.input("x", {"batch"});
  const int32_t first = sample.input("first", {"1"});
  const int32_t tripled = sample.activation("tripled", {"batch"});
  const int32_t early = sample.activation("early", {"1"});
  const int32_t kept = sample.found("kept", {"count"});
  const int32_t doubled = sample.activation("doubled", {"count"});
  const int32_t y = sample.output("y", {"count"});
  sum(sample, "triple", {x}, tripled, 3);
  sum(sample, "early", {first}, early, 10);
  sample.step("keep", {tripled}, {kept}, "test/keep_positive");
  sum(sample, "double", {kept}, doubled, 2);
  sum(sample, "add", {doubled, early}, y, 1);
  if (guarded)
    sample.data.guards.push_back({sample.program("count"), sample.program("2"), "two are left"});
  return sample.data;
}

void give(ExecutionContext& context, const std::vector<float>& x, const float& first) {
  const int64_t dims[] = {static_cast<int64_t>(x.size())};
  context.setInputShape(0, dims);
  context.setInputAddress(0, x.data());
  context.setInputAddress(1, &first);
}

TEST(Segments, FindDimsAndGoOn) {
  auto context = loaded(positives())->createContext();
  Taken y;
  context->setOutputAllocator(0, y.allocator());
  const float first = 7;
  for (const std::vector<float>& x :
       {std::vector<float>{1, -2, 3}, {-1}, {}, {4, 5, 6, 7}, {1, -2, 3}}) {
    give(*context, x, first);
    context->run();
    std::vector<float> expected;
    for (float value : x)
      if (value > 0) expected.push_back(6 * value + 70);
    EXPECT_EQ(y.result(), expected);
    EXPECT_EQ(context->outputShape(0)[0], static_cast<int64_t>(expected.size()));
  }
}

TEST(Segments, AllocateNothingForSizesSeen) {
  auto context = loaded(positives())->createContext();
  Taken y;
  context->setOutputAllocator(0, y.allocator());
  const float first = 1;
  const std::vector<float> some{1, -2, 3, -4}, others{-1, 5, 6, -7}, fewer{1, -1, -1, -1};
  for (const auto* x : {&some, &fewer, &others}) {
    give(*context, *x, first);
    context->run();
  }
  AllocationCounter counter;
  for (const auto* x : {&others, &some, &fewer, &some}) {
    give(*context, *x, first);
    context->run();
  }
  EXPECT_EQ(counter.count(), 0);
}

TEST(Segments, SayWhatIsNotKnownYet) {
  auto context = loaded(positives())->createContext();
  const float first = 1;
  const std::vector<float> x{1, 2};
  give(*context, x, first);
  context->prepare();
  EXPECT_NE(errorOf([&] { context->outputShape(0); }).find("depends on the inputs' data"),
            std::string::npos);
  std::vector<float> memory(8);
  context->setOutputAddress(0, memory.data());
  EXPECT_NE(errorOf([&] { context->run(); }).find("no allocator for output y"), std::string::npos);
}

TEST(Segments, CheckGuardsOnceKnown) {
  auto context = loaded(positives(true))->createContext();
  Taken y;
  context->setOutputAllocator(0, y.allocator());
  const float first = 1;
  const std::vector<float> good{1, 2, -3}, bad{1, 2, 3};
  give(*context, bad, first);
  EXPECT_NE(errorOf([&] { context->run(); }).find("two are left"), std::string::npos);
  give(*context, good, first);
  EXPECT_EQ(errorOf([&] { context->run(); }), "");
}

TEST(Segments, RefuseKernelsThatFindNothing) {
  EngineData data = positives();
  data.steps[2].variants[0] = data.steps[0].variants[0];
  EXPECT_NE(errorOf([&] { loaded(data); }).find("dims that depend on data"), std::string::npos);
}

// Doubles the carried tensor `trips` times, and stacks what it was.
EngineData doubling() {
  SampleEngine body;
  body.input("iteration", {}, DType::I64);
  const int32_t goesOn = body.input("goesOn", {}, DType::Bool);
  const int32_t carried = body.input("carried", {"n"});
  const int32_t added = body.input("added", {"1"});
  const int32_t next = body.output("next", {}, DType::Bool);
  body.data.tensors[next].viewOf = goesOn;
  const int32_t after = body.output("after", {"n"});
  const int32_t before = body.output("before", {"n"});
  body.data.tensors[before].viewOf = carried;
  sum(body, "double", {carried, carried, added}, after, 1);

  SampleEngine sample;
  const int32_t x = sample.input("x", {"batch"});
  const int32_t trips = sample.input("trips", {}, DType::I64);
  const int32_t added2 = sample.input("added", {"1"});
  const int32_t last = sample.found("last", {"size"}), all = sample.found("all", {"count", "part"});
  sample.control("loop", EngineStep::Control::Loop, {trips, -1, x, added2}, {last, all},
                 {body.data}, 1);
  for (int32_t found : {last, all}) {
    const auto dims = found == last ? std::vector<std::string>{"size"}
                                    : std::vector<std::string>{"count", "part"};
    const int32_t output = sample.output(found == last ? "y" : "z", dims);
    sample.data.tensors[output].viewOf = found;
  }
  return sample.data;
}

TEST(Control, LoopsCarryAndStack) {
  auto context = loaded(doubling())->createContext();
  Taken y, z;
  context->setOutputAllocator(0, y.allocator());
  context->setOutputAllocator(1, z.allocator());
  const std::vector<float> x{1, 2};
  const int64_t dims[] = {2};
  const float added = 1;
  context->setInputShape(0, dims);
  context->setInputAddress(0, x.data());
  context->setInputAddress(2, &added);
  auto run = [&](const int64_t& trips) {
    context->setInputAddress(1, &trips);
    context->run();
  };
  const int64_t three = 3, none = 0, negative = -4;
  run(three);
  EXPECT_EQ(y.result(), (std::vector<float>{15, 23}));
  EXPECT_EQ(z.dims, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(z.result(), (std::vector<float>{1, 2, 3, 5, 7, 11}));
  for (const int64_t* few : {&none, &negative}) {
    run(*few);
    EXPECT_EQ(y.result(), x);
    EXPECT_EQ(z.dims[0], 0);
  }
  run(three);
  AllocationCounter counter;
  run(three);
  EXPECT_EQ(counter.count(), 0);
}

TEST(Control, IfRunsOneBranch) {
  auto branch = [](float factor) {
    SampleEngine sample;
    const int32_t x = sample.input("x", {"n"});
    sum(sample, "scale", {x}, sample.output("y", {"n"}), factor);
    return sample.data;
  };
  SampleEngine sample;
  const int32_t condition = sample.input("condition", {}, DType::Bool);
  const int32_t x = sample.input("x", {"batch"});
  const int32_t chosen = sample.found("chosen", {"size"});
  sample.control("if", EngineStep::Control::If, {condition, x}, {chosen}, {branch(2), branch(-1)});
  sample.data.tensors[sample.output("y", {"size"})].viewOf = chosen;
  auto context = loaded(sample.data)->createContext();
  Taken y;
  context->setOutputAllocator(0, y.allocator());
  const std::vector<float> values{1, 2, 3};
  const int64_t dims[] = {3};
  context->setInputShape(1, dims);
  context->setInputAddress(1, values.data());
  const bool yes = true, no = false;
  context->setInputAddress(0, &yes);
  context->run();
  EXPECT_EQ(y.result(), (std::vector<float>{2, 4, 6}));
  context->setInputAddress(0, &no);
  context->run();
  EXPECT_EQ(y.result(), (std::vector<float>{-1, -2, -3}));
}

}  // namespace
}  // namespace carnot
