// Which problems may run for some images of a batch at a time.

#include <gtest/gtest.h>

#include <cstring>

#include "kernel_instance.h"
#include "ops/region.h"

namespace carnot::test {
namespace {

// The symbol that counts the images of a problem, which keeps them apart.
std::optional<std::string> imagesOf(const Problem& problem) {
  const std::vector<TensorType> types = problem.tensorTypes();
  const Shape& result = types[static_cast<size_t>(problem.region.outputs[0])].shape;
  auto symbol = result.rank() > 0 ? result[0].asSymbol() : std::nullopt;
  return symbol && keepsImagesApart(problem.region, types, *symbol) ? symbol : std::nullopt;
}

std::optional<std::string> imagesOfCase(const char* region, std::vector<std::string> inputs) {
  const Instance instance = makeInstance({.name = "", .region = region, .inputs = inputs});
  return imagesOf(instance.problem({}));
}

TEST(Images, AreTheFirstDimAlone) {
  const char* conv =
      "(a,b,r) c=Conv{strides=[1,1], pads=[0,0,0,0], dilations=[1,1], group=1}(a,b) d=Add(c,r) -> "
      "d";
  const std::string weights = "const float32[5, 4, 1, 1]";
  EXPECT_EQ(imagesOfCase(conv, {"float32[n=2, 4, 3, 3]", weights, "float32[n=2, 5, 1, 3]"}), "n");
  EXPECT_EQ(imagesOfCase(conv, {"float32[n=2, 4, 3, 3]", weights, "float32[5, 1, 1]"}), "n");
  EXPECT_FALSE(imagesOfCase(conv, {"float32[2, 4, 3, 3]", weights, "float32[5, 1, 1]"}));
  // Along another axis too, or only there.
  EXPECT_FALSE(imagesOfCase(conv, {"float32[n=2, 4, n=2, 3]", weights, "float32[5, 1, 1]"}));
  EXPECT_FALSE(imagesOfCase("(a,b) c=Add(a,b) -> c", {"float32[n=3, 2, 3]", "float32[n=3]"}));
  EXPECT_EQ(imagesOfCase("(a,b) c=Add(a,b) -> c", {"float32[n=3, 2]", "float32[n=3, 1]"}), "n");
}

TEST(Images, AreNotMixed) {
  EXPECT_FALSE(imagesOfCase("(a) b=Softmax{axis=0}(a) -> b", {"float32[n=3, 2]"}));
  EXPECT_FALSE(
      imagesOfCase("(a) b=Reduce{axes=[0], keepDims=true, kind=0}(a) -> b", {"float32[n=3, 2]"}));
  EXPECT_FALSE(
      imagesOfCase("(a,b) c=Concat{axis=0}(a,b) -> c", {"float32[n=3, 2]", "float32[1, 2]"}));
  EXPECT_EQ(
      imagesOfCase("(a,b) c=Concat{axis=1}(a,b) -> c", {"float32[n=3, 2]", "float32[n=3, 4]"}),
      "n");
  EXPECT_EQ(
      imagesOfCase("(a) b=Reduce{axes=[1], keepDims=false, kind=0}(a) -> b", {"float32[n=3, 2]"}),
      "n");
}

std::vector<KernelCase> allCases() {
  std::vector<KernelCase> all;
#define CARNOT_CASES(name) \
  for (const KernelCase& row : name()) all.push_back(row);
#include "kernel_cases.inc"
#undef CARNOT_CASES
  return all;
}

// Of a tensor whose first dim counts images, the view of one.
TensorView imageOf(const Tensor& tensor, int64_t index, std::vector<int64_t>& dims) {
  dims = tensor.dims();
  const size_t bytes = tensor.bytes() / static_cast<size_t>(dims[0]);
  dims[0] = 1;
  auto* data = static_cast<std::byte*>(const_cast<void*>(tensor.data()));
  return {data + static_cast<size_t>(index) * bytes, tensor.dtype(), dims};
}

// Every case of the kernels' suite that has images gives each by itself what it gives in the batch.
TEST(Images, OfEveryCaseAreTheSameAlone) {
  int seen = 0;
  for (const KernelCase& row : allCases()) {
    SCOPED_TRACE(row.name);
    const Instance instance = makeInstance(row);
    const auto symbol = imagesOf(instance.problem({}));
    if (!symbol) continue;
    ++seen;
    auto hasImages = [&](const Shape& shape) {
      return shape.rank() > 0 && shape[0].asSymbol() == symbol;
    };
    std::map<std::string, Dim> symbols;
    for (const auto& [name, value] : instance.symbols)
      symbols.emplace(name, name == *symbol ? 1 : value);
    for (int64_t image = 0; image < instance.symbols.at(*symbol); ++image) {
      std::vector<std::vector<int64_t>> dims(instance.inputs.size() + instance.expected.size());
      std::vector<TensorView> inputs, outputs;
      std::vector<Tensor> results;
      for (const CaseTensor& input : instance.inputs)
        inputs.push_back(!input.desc.present ? TensorView{}
                         : hasImages(input.desc.shape)
                             ? imageOf(input.data, image, dims[inputs.size()])
                             : input.data.view());
      for (const Tensor& expected : instance.expected) {
        std::vector<int64_t> one = expected.dims();
        one[0] = 1;
        outputs.push_back(results.emplace_back(expected.dtype(), one).view());
      }
      referenceRegion(instance.region.substitute(symbols), {inputs, outputs, {}});
      for (size_t i = 0; i < results.size(); ++i) {
        std::vector<int64_t> own;
        const TensorView wanted = imageOf(instance.expected[i], image, own);
        EXPECT_EQ(std::memcmp(results[i].data(), wanted.data, results[i].bytes()), 0)
            << "output " << i << " of image " << image;
      }
    }
  }
  EXPECT_GT(seen, 20);
}

}  // namespace
}  // namespace carnot::test
