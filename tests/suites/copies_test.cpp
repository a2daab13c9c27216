// What copies do with indices and bounds that shapes cannot vouch for.

#include <carnot/error.h>
#include <gtest/gtest.h>

#include "base/threads.h"
#include "kernels/kernel.h"

namespace carnot::test {
namespace {

struct CopyCase {
  const char* kernel;
  const char* region;
  std::vector<Tensor> inputs;  // as the problem is built; others may be passed at run time
  std::vector<int64_t> output;
};

Tensor runWith(const CopyCase& copy, const Tensor& second) {
  DeviceTraits device;
  Problem problem{
      .region = Region::parse(copy.region), .inputs = {}, .outputs = {}, .device = device};
  ConcreteShapes shapes;
  for (const Tensor& input : copy.inputs) {
    problem.inputs.push_back(
        {.dtype = input.dtype(), .shape = Shape::of(input.dims()), .constant = &input});
    shapes.inputs.push_back(input.dims());
  }
  problem.outputs.push_back({.dtype = copy.inputs[0].dtype(), .shape = Shape::of(copy.output)});
  shapes.outputs.push_back(copy.output);
  const Kernel& kernel = *findKernel(copy.kernel);
  const Support support = kernel.supports(problem);
  const Prepared prepared =
      kernel.prepare(problem, std::get<std::vector<Configuration>>(support).at(0));
  auto bound = kernel.bind({.parameters = prepared.parameters, .weights = {}, .device = device});
  auto executable = bound->specialize(shapes);
  Tensor out(problem.outputs[0].dtype, copy.output);
  std::vector<const void*> inputs;
  for (const Tensor& input : copy.inputs) inputs.push_back(input.data());
  inputs[1] = second.data();
  void* output = out.as<void>();
  ThreadPool pool(1);
  executable->run({.inputs = inputs.data(),
                   .outputs = &output,
                   .workspace = nullptr,
                   .stream = nullptr,
                   .pool = &pool});
  return out;
}

Tensor ints(std::vector<int64_t> values) {
  return Tensor::ofInts({static_cast<int64_t>(values.size())}, values);
}

template <typename Body>
void expectInvalidArgument(Body&& body) {
  try {
    body();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument) << error.what();
  }
}

TEST(Copies, GatherRefusesIndicesOutsideTheAxis) {
  const CopyCase gather{.kernel = "cpu/copy/gather",
                        .region = "(a,b) c=Gather{axis=0}(a,b) -> c",
                        .inputs = {ints({5, 6, 7}), ints({0, 0})},
                        .output = {2}};
  EXPECT_EQ(runWith(gather, ints({-3, 2})).toInts(), (std::vector<int64_t>{5, 7}));
  for (int64_t index : {int64_t{3}, int64_t{-4}, INT64_MAX, INT64_MIN})
    expectInvalidArgument([&] { runWith(gather, ints({0, index})); });
}

TEST(Copies, SliceRefusesToLeaveTheAxis) {
  const CopyCase forward{.kernel = "cpu/copy/slice",
                         .region = "(a,b,c) d=Slice{axes=[0], steps=[2]}(a,b,c) -> d",
                         .inputs = {ints({1, 2, 3, 4, 5, 6}), ints({1}), ints({5})},
                         .output = {2}};
  EXPECT_EQ(runWith(forward, ints({-3})).toInts(), (std::vector<int64_t>{4, 6}));
  for (int64_t start : {int64_t{4}, INT64_MAX, int64_t{-1}})
    expectInvalidArgument([&] { runWith(forward, ints({start})); });
  const CopyCase backward{.kernel = "cpu/copy/slice",
                          .region = "(a,b,c) d=Slice{axes=[0], steps=[-2]}(a,b,c) -> d",
                          .inputs = {ints({1, 2, 3, 4, 5, 6}), ints({4}), ints({0})},
                          .output = {2}};
  EXPECT_EQ(runWith(backward, ints({100})).toInts(), (std::vector<int64_t>{6, 4}));
  for (int64_t start : {int64_t{1}, INT64_MIN})
    expectInvalidArgument([&] { runWith(backward, ints({start})); });
}

}  // namespace
}  // namespace carnot::test
