#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <random>

#include "kernel_cases.h"

namespace carnot::test {
namespace {

using Dims = std::vector<int64_t>;

class RandomCases {
 public:
  explicit RandomCases(uint32_t seed) : generator_(seed) {}

  std::vector<KernelCase> make(int ofEachKind) {
    for (int i = 0; i < ofEachKind; ++i) {
      convolution();
      transposedConvolution();
      matMul();
      pool();
      transpose();
      concat();
      slice();
      pad();
      pointwise();
      rows();
      resize();
      attention();
    }
    return std::move(cases_);
  }

 private:
  int64_t between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(generator_);
  }
  bool oneIn(int64_t n) { return between(1, n) == 1; }
  template <typename T>
  T oneOf(std::initializer_list<T> values) {
    return values.begin()[between(0, static_cast<int64_t>(values.size()) - 1)];
  }
  // Mostly small, at times beyond a vector, a block or a tile.
  int64_t size() { return oneIn(3) ? between(1, 70) : between(1, 19); }
  Dims sizes(size_t rank, int64_t low, int64_t high) {
    Dims dims(rank);
    for (int64_t& dim : dims) dim = between(low, high);
    return dims;
  }
  static std::string tensor(const Dims& dims, const char* type = "float32") {
    return fmt::format("{}[{}]", type, fmt::join(dims, ", "));
  }
  static std::string constant(const Dims& dims) { return "const " + tensor(dims); }
  static std::string vectorOf(const Dims& values) {
    return fmt::format("const int64[{}] = {}", values.size(), fmt::join(values, " "));
  }
  static Dims join(Dims a, const Dims& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  void add(const char* kind, std::string region, std::vector<std::string> inputs) {
    cases_.push_back({.name = fmt::format("{}_{}", kind, cases_.size()),
                      .region = std::move(region),
                      .inputs = std::move(inputs)});
  }

  // What follows an anchor "…=Anchor(a,b)" whose output has the dims, with `channel` that of a
  // bias: nothing, or a bias, an activation and a residual as the dice fall.
  void withEpilogue(const char* kind, const std::string& anchor, std::vector<std::string> inputs,
                    const Dims& output, const Dims& channel) {
    std::string names = "a,b", nodes, last = "y0";
    const bool bias = oneIn(2), activation = oneIn(2), residual = oneIn(3);
    if (bias) {
      names += ",s";
      inputs.push_back(constant(channel));
      nodes += fmt::format(" y1=Add({},s)", last);
      last = "y1";
    }
    if (activation) {
      nodes += fmt::format(" y2={}({})", oneOf({"Relu", "HardSwish", "Sigmoid", "Gelu"}), last);
      last = "y2";
    }
    if (residual) {
      names += ",r";
      inputs.push_back(tensor(output));
      nodes += fmt::format(" y3=Add({},r)", last);
      last = "y3";
    }
    add(kind, fmt::format("({}) y0={}(a,b){} -> {}", names, anchor, nodes, last),
        std::move(inputs));
  }

  void convolution() {
    const size_t rank = oneIn(5) ? 1 : 2;
    const bool depthwise = oneIn(3);
    const int64_t group = depthwise ? size() : oneIn(4) ? between(2, 3) : 1;
    const int64_t each = depthwise ? 1 : oneIn(4) ? 16 : size();
    const int64_t outputs = group * (depthwise ? 1 : oneIn(4) ? 16 : size());
    const Dims kernel = oneIn(3) ? Dims(rank, 1) : sizes(rank, 1, 5);
    const Dims strides = sizes(rank, 1, oneIn(2) ? 1 : 3);
    const Dims dilations = sizes(rank, 1, oneIn(4) ? 3 : 1);
    const Dims pads = sizes(2 * rank, 0, oneIn(4) ? 6 : 2);
    Dims image(rank), out(rank);
    for (size_t i = 0; i < rank; ++i) {
      const int64_t span = (kernel[i] - 1) * dilations[i] + 1, around = pads[i] + pads[i + rank];
      image[i] = std::max<int64_t>(oneIn(3) ? size() : between(1, 12), span - around);
      image[i] = std::max<int64_t>(image[i], 1);
      out[i] = (image[i] + around - span) / strides[i] + 1;
    }
    const int64_t batch = between(1, 3);
    withEpilogue(
        "conv",
        fmt::format("Conv{{strides=[{}], pads=[{}], dilations=[{}], group={}}}",
                    fmt::join(strides, ","), fmt::join(pads, ","), fmt::join(dilations, ","),
                    group),
        {tensor(join({batch, group * each}, image)), constant(join({outputs, each}, kernel))},
        join({batch, outputs}, out), join({outputs}, Dims(rank, 1)));
  }

  void transposedConvolution() {
    const size_t rank = oneIn(5) ? 1 : 2;
    const int64_t group = oneIn(5) ? 2 : 1, inputs = group * size(), each = size();
    const Dims kernel = sizes(rank, 1, 4), strides = sizes(rank, 1, 3);
    const Dims dilations = sizes(rank, 1, oneIn(4) ? 2 : 1);
    const Dims image = sizes(rank, 2, oneIn(3) ? 30 : 9);
    Dims pads(2 * rank), outputPadding(rank), out(rank);
    for (size_t i = 0; i < rank; ++i) {
      pads[i] = between(0, kernel[i] - 1) / 2;
      pads[i + rank] = between(0, kernel[i] - 1) / 2;
      outputPadding[i] = between(0, strides[i] - 1);
      out[i] = (image[i] - 1) * strides[i] - pads[i] - pads[i + rank] +
               (kernel[i] - 1) * dilations[i] + 1 + outputPadding[i];
    }
    const int64_t batch = between(1, 2);
    withEpilogue("transposed",
                 fmt::format("ConvTranspose{{strides=[{}], pads=[{}], dilations=[{}], "
                             "outputPadding=[{}], group={}}}",
                             fmt::join(strides, ","), fmt::join(pads, ","),
                             fmt::join(dilations, ","), fmt::join(outputPadding, ","), group),
                 {tensor(join({batch, inputs}, image)), constant(join({inputs, each}, kernel))},
                 join({batch, group * each}, out), join({group * each}, Dims(rank, 1)));
  }

  void matMul() {
    const int64_t m = size(), k = oneIn(6) ? between(200, 700) : size(),
                  n = oneIn(6) ? 200 : size();
    const bool transposed = oneIn(3), packed = oneIn(2);
    const Dims batch = sizes(static_cast<size_t>(between(0, 2)), 1, 3);
    const Dims b = transposed ? Dims{n, k} : Dims{k, n};
    withEpilogue("matmul", transposed ? "MatMul{transposeB=true}" : "MatMul",
                 {tensor(join(batch, {m, k})), packed ? constant(b) : tensor(join(batch, b))},
                 join(batch, {m, n}), {n});
  }

  void pool() {
    const size_t rank = oneIn(4) ? 1 : 2;
    const Dims kernel = sizes(rank, 1, 4);
    Dims pads(2 * rank), image(rank);
    for (size_t i = 0; i < rank; ++i) {
      pads[i] = between(0, kernel[i] - 1);
      pads[i + rank] = between(0, kernel[i] - 1);
      image[i] = between(kernel[i], 20);
    }
    const bool average = oneIn(2);
    add("pool",
        fmt::format("(a) b={}{{kernel=[{}], strides=[{}], pads=[{}], ceilMode={}, "
                    "dilations=[{}]{}}}(a) -> b",
                    average ? "AveragePool" : "MaxPool", fmt::join(kernel, ","),
                    fmt::join(sizes(rank, 1, 3), ","), fmt::join(pads, ","), oneIn(2),
                    fmt::join(Dims(rank, 1), ","),
                    average && oneIn(2) ? ", countIncludePad=true" : ""),
        {tensor(join({between(1, 2), size()}, image))});
  }

  void transpose() {
    Dims perm(static_cast<size_t>(between(2, 5)));
    for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
    std::shuffle(perm.begin(), perm.end(), generator_);
    add("transpose", fmt::format("(a) b=Transpose{{perm=[{}]}}(a) -> b", fmt::join(perm, ",")),
        {tensor(sizes(perm.size(), 1, perm.size() < 4 ? 40 : 11),
                oneOf({"float32", "uint8", "float16", "int64"}))});
  }

  void concat() {
    Dims dims = sizes(static_cast<size_t>(between(1, 4)), 1, 12);
    const size_t axis = static_cast<size_t>(between(0, static_cast<int64_t>(dims.size()) - 1));
    const char* type = oneOf({"float32", "uint8", "float16", "int64"});
    std::vector<std::string> inputs;
    for (int64_t i = between(2, 5); i > 0; --i) {
      dims[axis] = between(0, 20);
      inputs.push_back(tensor(dims, type));
    }
    const std::string names = std::string("a,b,c,d,e").substr(0, 2 * inputs.size() - 1);
    add("concat", fmt::format("({0}) z=Concat{{axis={1}}}({0}) -> z", names, axis),
        std::move(inputs));
  }

  void slice() {
    const Dims dims = sizes(static_cast<size_t>(between(1, 4)), 1, 20);
    Dims axes, steps, starts, ends;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (oneIn(2)) continue;
      axes.push_back(static_cast<int64_t>(i));
      steps.push_back(oneOf<int64_t>({1, 1, 2, 5, -1, -3}));
      starts.push_back(between(-dims[i] - 2, dims[i] + 2));
      ends.push_back(between(-dims[i] - 2, dims[i] + 2));
    }
    add("slice",
        fmt::format("(a,b,c) d=Slice{{axes=[{}], steps=[{}]}}(a,b,c) -> d", fmt::join(axes, ","),
                    fmt::join(steps, ",")),
        {tensor(dims, oneOf({"float32", "uint8", "float16"})), vectorOf(starts), vectorOf(ends)});
  }

  void pad() {
    const Dims dims = sizes(static_cast<size_t>(between(1, 4)), 3, 20);
    add("pad", fmt::format("(a,b) c=Pad{{mode={}}}(a,b) -> c", between(0, 3)),
        {tensor(dims, oneOf({"float32", "uint8"})), vectorOf(sizes(2 * dims.size(), -1, 3))});
  }

  void pointwise() {
    const Dims dims = sizes(static_cast<size_t>(between(1, 5)), 1, 9);
    auto some = [&] {
      Dims broadcast = dims;
      for (int64_t& dim : broadcast)
        if (oneIn(3)) dim = 1;
      broadcast.erase(broadcast.begin(),
                      broadcast.begin() + between(0, static_cast<int64_t>(dims.size()) - 1));
      return tensor(broadcast);
    };
    add("pointwise",
        fmt::format("(a,b,c) d={}(a,b) e={}(d) f={}(e,c) -> f{}", oneOf({"Add", "Mul", "Sub"}),
                    oneOf({"Tanh", "Sigmoid", "Exp", "Neg", "Abs"}), oneOf({"Max", "Add", "Mul"}),
                    oneIn(3) ? ", d" : ""),
        {tensor(dims), some(), some()});
  }

  void rows() {
    const int64_t rank = between(1, 4), axis = between(0, rank - 1);
    const Dims dims = sizes(static_cast<size_t>(rank), 1, rank < 3 ? 90 : 15);
    const std::string node = oneOf<std::string>(
        {fmt::format("Softmax{{axis={}}}", axis),
         fmt::format("Reduce{{kind={}, axes=[{}], keepDims={}}}", between(0, 3), axis, oneIn(2))});
    add("rows", fmt::format("(a) b={}(a) -> b", node), {tensor(dims)});
  }

  void resize() {
    const Dims from = sizes(4, 1, 20), to = sizes(2, 1, 40);
    add("resize",
        fmt::format("(a) b=Resize{{mode={}, coordinates={}, shape=[{}, {}, {}, {}]}}(a) -> b",
                    between(0, 1), oneOf({0, 2, 3}), from[0], from[1], to[0], to[1]),
        {tensor(from)});
  }

  void attention() {
    const int64_t batch = between(1, 2), heads = between(1, 3), queries = size(), keys = size(),
                  width = oneIn(2) ? 16 : size();
    const bool mask = oneIn(3);
    std::vector<std::string> inputs{tensor({batch, heads, queries, width}),
                                    tensor({batch, heads, keys, width}),
                                    tensor({batch, heads, keys, size()})};
    if (mask) inputs.push_back(tensor({oneIn(2) ? 1 : batch, 1, oneIn(2) ? 1 : queries, keys}));
    add("attention",
        fmt::format("({0}) o=Attention{{scale=0.25, causal={1}}}({0}) -> o",
                    mask ? "q,k,v,m" : "q,k,v", mask ? 0 : between(0, 2)),
        std::move(inputs));
  }

  std::mt19937 generator_;
  std::vector<KernelCase> cases_;
};

}  // namespace

std::vector<KernelCase> randomCases(uint32_t seed, int ofEachKind) {
  return RandomCases(seed).make(ofEachKind);
}

}  // namespace carnot::test
