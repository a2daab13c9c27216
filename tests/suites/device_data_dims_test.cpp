// Engines whose dims depend on data, with branches and loops, on every kind of device that is here.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "builder/compile.h"
#include "frontend/onnx/import.h"
#include "runtime/runtime.h"
#include "suites/support/onnx_encoder.h"

namespace carnot::test {
namespace {

constexpr int kFloat = 1, kInt64 = 7, kBool = 9;

EncodedValue value(const char* name, int type = kFloat,
                   std::vector<std::variant<int64_t, std::string>> dims = {}) {
  return {name, type, std::move(dims)};
}
EncodedValue anyShape(const char* name, int type = kFloat) { return {name, type, {}, true}; }

// What is not zero, doubled by a product; the places.
EncodedModel positives() {
  EncodedModel model;
  model.graph.inputs = {value("x", kFloat, {"n", 4})};
  model.graph.outputs = {anyShape("y"), anyShape("t", kInt64)};
  model.graph.initializers = {{.name = "w", .dims = {1, 2}, .floats = {2, -1}},
                              {.name = "column", .type = kInt64, .dims = {1}, .int64s = {1}}};
  model.graph.nodes = {{.type = "NonZero", .inputs = {"x"}, .outputs = {"i"}},
                       {.type = "Transpose", .inputs = {"i"}, .outputs = {"t"}},
                       {.type = "GatherND", .inputs = {"x", "t"}, .outputs = {"v"}},
                       {.type = "Unsqueeze", .inputs = {"v", "column"}, .outputs = {"c"}},
                       {.type = "MatMul", .inputs = {"c", "w"}, .outputs = {"m"}},
                       {.type = "Relu", .inputs = {"m"}, .outputs = {"y"}}};
  return model;
}

// Rows of x from a start that the input tells, then a product, a softmax and what is above its
// mean.
EncodedModel sliced() {
  EncodedModel model;
  model.graph.inputs = {value("x", kFloat, {"n", 4}), value("from", kInt64, {1})};
  model.graph.outputs = {anyShape("y"), anyShape("z")};
  model.graph.initializers = {
      {.name = "w",
       .dims = {4, 3},
       .floats = {.1f, .2f, .3f, -.4f, .5f, -.6f, .7f, .8f, .9f, 1.f, -1.1f, 1.2f}},
      {.name = "end", .type = kInt64, .dims = {1}, .int64s = {1000}},
      {.name = "axis", .type = kInt64, .dims = {1}, .int64s = {0}},
      {.name = "third", .dims = {}, .floats = {0.3333f}}};
  model.graph.nodes = {{.type = "Abs", .inputs = {"x"}, .outputs = {"p"}},
                       {.type = "Slice", .inputs = {"p", "from", "end", "axis"}, .outputs = {"s"}},
                       {.type = "MatMul", .inputs = {"s", "w"}, .outputs = {"m"}},
                       {.type = "Softmax", .inputs = {"m"}, .outputs = {"y"}},
                       {.type = "Greater", .inputs = {"y", "third"}, .outputs = {"above"}},
                       {.type = "Cast",
                        .inputs = {"above"},
                        .outputs = {"mask"},
                        .attributes = {{"to", int64_t{kFloat}}}},
                       {.type = "NonZero", .inputs = {"mask"}, .outputs = {"places"}},
                       {.type = "Transpose", .inputs = {"places"}, .outputs = {"rows"}},
                       {.type = "GatherND", .inputs = {"y", "rows"}, .outputs = {"z"}}};
  return model;
}

EncodedModel branches() {
  auto branch = [](const char* type) {
    EncodedGraph graph;
    graph.outputs = {anyShape("b")};
    graph.nodes = {{.type = type, .inputs = {"x"}, .outputs = {"a"}},
                   {.type = "Mul", .inputs = {"a", "x"}, .outputs = {"b"}}};
    return graph;
  };
  EncodedModel model;
  model.graph.inputs = {value("x", kFloat, {"n"}), value("c", kBool, {})};
  model.graph.outputs = {anyShape("y")};
  model.graph.nodes = {
      {.type = "If",
       .inputs = {"c"},
       .outputs = {"b"},
       .attributes = {{"then_branch", branch("Neg")}, {"else_branch", branch("Abs")}}},
      {.type = "Relu", .inputs = {"b"}, .outputs = {"y"}}};
  return model;
}

// s grows by a row of w each time, until a row's sum is above the limit; s and every sum.
EncodedModel growing() {
  EncodedGraph body;
  body.inputs = {value("i", kInt64), value("c", kBool), anyShape("s")};
  body.outputs = {value("go", kBool), anyShape("next"), value("sum")};
  body.nodes = {{.type = "Gather",
                 .inputs = {"w", "i"},
                 .outputs = {"row"},
                 .attributes = {{"axis", int64_t{0}}}},
                {.type = "Unsqueeze", .inputs = {"row", "zero"}, .outputs = {"rows"}},
                {.type = "Concat",
                 .inputs = {"s", "rows"},
                 .outputs = {"next"},
                 .attributes = {{"axis", int64_t{0}}}},
                {.type = "ReduceSum",
                 .inputs = {"row"},
                 .outputs = {"sum"},
                 .attributes = {{"keepdims", int64_t{0}}}},
                {.type = "Less", .inputs = {"sum", "limit"}, .outputs = {"go"}}};
  EncodedModel model;
  model.graph.inputs = {value("w", kFloat, {"n", 3}), value("limit", kFloat, {})};
  model.graph.outputs = {anyShape("last"), anyShape("sums")};
  model.graph.initializers = {{.name = "zero", .type = kInt64, .dims = {1}, .int64s = {0}}};
  model.graph.nodes = {
      {.type = "Shape", .inputs = {"w"}, .outputs = {"dims"}, .attributes = {{"end", int64_t{1}}}},
      {.type = "Loop",
       .inputs = {"dims", "", "w"},
       .outputs = {"last", "sums"},
       .attributes = {{"body", body}}}};
  return model;
}

// Sums of the rows so far, by a product in each step.
EncodedModel scanned() {
  EncodedGraph body;
  body.inputs = {value("sum", kFloat, {4}), value("row", kFloat, {4})};
  body.outputs = {value("next", kFloat, {4}), value("out", kFloat, {4})};
  body.nodes = {{.type = "MatMul", .inputs = {"row", "turn"}, .outputs = {"turned"}},
                {.type = "Add", .inputs = {"sum", "turned"}, .outputs = {"next"}},
                {.type = "Tanh", .inputs = {"next"}, .outputs = {"out"}}};
  EncodedModel model;
  model.graph.inputs = {value("start", kFloat, {4}), value("x", kFloat, {"n", 4})};
  model.graph.outputs = {value("end", kFloat, {4}), anyShape("all")};
  model.graph.initializers = {{.name = "turn",
                               .dims = {4, 4},
                               .floats = {0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, .5f, 0, 0, 0}}};
  model.graph.nodes = {{.type = "Scan",
                        .inputs = {"start", "x"},
                        .outputs = {"end", "all"},
                        .attributes = {{"body", body}, {"num_scan_inputs", int64_t{1}}}}};
  return model;
}

struct Case {
  const char* name;
  EncodedModel (*model)();
  // The rows of the dynamic input and a number for each of the others.
  std::vector<std::pair<int64_t, double>> runs;
};
void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }

const Case kCases[] = {
    {"Positives", positives, {{3, 0}, {1, 0}, {0, 0}, {7, 0}, {3, 0}}},
    {"Sliced", sliced, {{6, 2}, {6, 0}, {6, 6}, {9, 4}, {6, 2}}},
    {"Branches", branches, {{3, 1}, {3, 0}, {0, 1}, {5, 0}, {3, 1}}},
    {"Growing", growing, {{4, 1e9}, {2, 1e9}, {4, -1e9}, {4, 1e9}, {0, 1e9}}},
    {"Scanned", scanned, {{4, .5}, {1, 0}, {9, 1}, {4, .5}}},
};

std::shared_ptr<LoadedEngine> loaded(const EncodedModel& model, const std::string& kind) {
  auto bytes = std::make_shared<std::string>(model.encode());
  CompileOptions options;
  options.device = deviceTraits(kind, 1);
  options.optimizationLevel = 0;
  options.tf32 = false;
  const OnnxModel read =
      readOnnxBytes(std::as_bytes(std::span(bytes->data(), bytes->size())), bytes);
  EngineData data = *compile(importOnnx(read), options);
  return LoadedEngine::create(deserializeEngine(serializeEngine(data)));
}

// Runs with inputs by rule; outputs by their allocators, in memory of the host or of the device.
class Session {
 public:
  Session(const std::shared_ptr<LoadedEngine>& engine, bool onDevice)
      : data_(engine->engine()),
        onDevice_(onDevice),
        device_(openDevice(deviceTraits(data_.meta.deviceKind, 1))),
        stream_(device_->createStream()),
        context_(engine->createContext()) {}

  struct Output {
    std::vector<int64_t> dims;
    std::vector<double> values;
  };
  std::vector<Output> run(int64_t rows, double number) {
    inputs_.clear();
    memory_.clear();
    memory_.resize(data_.outputs.size());
    std::vector<Output> outputs(data_.outputs.size());
    for (size_t i = 0; i < data_.inputs.size(); ++i) give(static_cast<int>(i), rows, number);
    for (size_t i = 0; i < outputs.size(); ++i)
      context_->setOutputAllocator(static_cast<int>(i),
                                   [&, i](size_t bytes, std::span<const int64_t> dims) {
                                     outputs[i].dims.assign(dims.begin(), dims.end());
                                     return (memory_[i] = allocate(bytes))->data();
                                   });
    context_->run();
    for (size_t i = 0; i < outputs.size(); ++i) {
      const DType dtype = data_.tensors[data_.outputs[i]].dtype;
      Tensor host(dtype, outputs[i].dims);
      if (onDevice_)
        device_->copyFromDevice(host.as<void>(), memory_[i]->data(), host.bytes(), *stream_);
      else
        std::memcpy(host.as<void>(), memory_[i]->data(), host.bytes());
      stream_->synchronize();
      for (int64_t k = 0; k < host.count(); ++k)
        outputs[i].values.push_back(host.view().loadDouble(k));
    }
    return outputs;
  }

 private:
  std::shared_ptr<Buffer> allocate(size_t bytes) {
    return onDevice_ ? device_->allocate(std::max<size_t>(bytes, 1)) : Buffer::allocate(bytes + 1);
  }

  // Dynamic inputs have `rows` rows of numbers that are at times zero; others hold `number`.
  void give(int index, int64_t rows, double number) {
    const EngineTensor& declared = data_.tensors[data_.inputs[index]];
    std::vector<int64_t> dims;
    bool dynamic = false;
    for (const DimProgram& dim : declared.dims) {
      dynamic |= !dim.constant();
      dims.push_back(dim.constant().value_or(rows));
    }
    Tensor host(declared.dtype, dims);
    for (int64_t k = 0; k < host.count(); ++k)
      host.view().storeDouble(
          k, dynamic ? std::max(0.0, std::sin(1.7 * static_cast<double>(k) + 0.4)) : number);
    std::shared_ptr<Buffer>& memory = inputs_.emplace_back(allocate(host.bytes()));
    if (onDevice_)
      device_->copyToDevice(memory->data(), host.data(), host.bytes(), *stream_);
    else
      std::memcpy(memory->data(), host.data(), host.bytes());
    stream_->synchronize();
    context_->setInputShape(index, dims);
    context_->setInputAddress(index, memory->data());
  }

  const EngineData& data_;
  bool onDevice_;
  std::shared_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<ExecutionContext> context_;
  std::vector<std::shared_ptr<Buffer>> inputs_, memory_;
};

class DeviceDataDims : public ::testing::TestWithParam<std::tuple<std::string, Case>> {};

TEST_P(DeviceDataDims, AreFoundAsOnTheCpu) {
  const auto& [kind, row] = GetParam();
  const EncodedModel model = row.model();
  const auto engine = loaded(model, kind);
  Session oracle(loaded(model, "cpu"), false);
  for (bool onDevice : {false, true}) {
    Session session(engine, onDevice);
    for (int round = 0; round < 3; ++round)
      for (const auto& [rows, number] : row.runs) {
        const auto wanted = oracle.run(rows, number);
        const auto has = session.run(rows, number);
        for (size_t i = 0; i < wanted.size(); ++i) {
          ASSERT_EQ(has[i].dims, wanted[i].dims) << rows << " rows, output " << i;
          for (size_t k = 0; k < wanted[i].values.size(); ++k)
            ASSERT_NEAR(has[i].values[k], wanted[i].values[k], 1e-5)
                << rows << " rows, output " << i;
        }
      }
  }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceDataDims,
                         ::testing::Combine(::testing::ValuesIn(deviceKinds()),
                                            ::testing::ValuesIn(kCases)),
                         [](const auto& info) {
                           return std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
                         });

}  // namespace
}  // namespace carnot::test
