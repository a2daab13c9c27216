// Engines that someone meant: their sizes and hash are right, what they hold is not. Each is
// refused by an Error, or harmless, in little memory. The bound on time shows only that no work is
// exponential, or square in what a file can hold.
#include <gtest/gtest.h>

#include <cstring>
#include <ctime>
#include <functional>

#include "base/error.h"
#include "base/hash.h"
#include "base/shape.h"
#include "engine/schema/engine_generated.h"
#include "runtime/runtime.h"
#include "sample_engine.h"
#include "sample_kernel.h"
#include "suites/support/bounded_memory.h"

namespace carnot {
namespace {

using testing::BoundedMemory;
using testing::SampleEngine;
using testing::ScaledSum;
using Bytes = std::vector<std::byte>;

constexpr size_t kMostBytes = size_t{1} << 30;
constexpr double kMostSeconds = 60;  // under sanitizers, and on a busy machine
constexpr int64_t kHuge = int64_t{1} << 60;
constexpr const char* kSum = "test/scaled_sum";

// Asks for as much scratch as its parameters say, and must not get to run.
class Scratch final : public Kernel {
 public:
  std::string_view name() const override { return "test/scratch"; }
  Support supports(const Problem&) const override { return Refusal{"for hand-written engines"}; }
  Prepared prepare(const Problem&, const Configuration&) const override { return {}; }
  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    uint64_t bytes = 0;
    std::memcpy(&bytes, arguments.parameters.data(), sizeof bytes);
    return std::make_unique<Bound>(bytes);
  }
  static Bytes parameters(uint64_t bytes) {
    Bytes out(sizeof bytes);
    std::memcpy(out.data(), &bytes, sizeof bytes);
    return out;
  }

 private:
  struct Ready final : Executable {
    explicit Ready(size_t bytes) : bytes(bytes) {}
    size_t workspaceBytes() const override { return bytes; }
    void run(const RunArguments&) const override { throwInternal("scratch that nobody has"); }
    size_t bytes;
  };
  struct Bound final : BoundKernel {
    explicit Bound(size_t bytes) : bytes(bytes) {}
    std::unique_ptr<Executable> specialize(const ConcreteShapes&) const override {
      return std::make_unique<Ready>(bytes);
    }
    size_t bytes;
  };
};

const Kernel* findKernel(std::string_view name) {
  static const Scratch scratch;
  return name == scratch.name() ? &scratch : testing::findSampleKernel(name);
}

EngineStep& sum(SampleEngine& sample, const std::string& name, std::vector<int32_t> inputs,
                int32_t output) {
  EngineStep& step = sample.step(name, std::move(inputs), {output}, kSum, ScaledSum::parameters(1));
  step.variants[0].revision = 2;
  return step;
}

// y[n] = x[n], by way of an activation; n = 4 when it runs.
SampleEngine plain() {
  SampleEngine sample;
  const int32_t x = sample.input("x", {"n"});
  const int32_t a = sample.activation("a", {"n"});
  const int32_t y = sample.output("y", {"n"});
  sum(sample, "first", {x}, a);
  sum(sample, "last", {a}, y);
  return sample;
}
enum { kX, kA, kY };

void rehash(Bytes& file) {
  uint64_t headBytes = 0;
  std::memcpy(&headBytes, file.data() + 32, sizeof headBytes);
  const Hash128 hash = hash128(file.data() + 32, 32 + headBytes);
  std::memcpy(file.data() + 16, &hash.low, 8);
  std::memcpy(file.data() + 24, &hash.high, 8);
}

// A file around a head that no engine's data could give.
Bytes fileAround(std::span<const std::byte> head) {
  Bytes file = serializeEngine(plain().data);
  file.resize(64);
  file.insert(file.end(), head.begin(), head.end());
  const uint64_t headBytes = head.size();
  file.resize((file.size() + 63) / 64 * 64);
  const uint64_t fileBytes = file.size();
  std::memcpy(file.data() + 32, &headBytes, 8);
  std::memcpy(file.data() + 40, &fileBytes, 8);
  rehash(file);
  return file;
}

template <typename Build>
Bytes fileOf(Build build) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(build(builder));
  return fileAround(std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())));
}

// A head in whose weight the offset and size are what is asked.
Bytes withSection(uint64_t offset, uint64_t bytes, std::vector<int64_t> dims) {
  return fileOf([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto dimsAt = builder.CreateVector(dims);
    const auto weight = schema::CreateWeight(builder, static_cast<uint8_t>(DType::F32), dimsAt,
                                             offset, bytes, 0, 0);
    const auto weights = builder.CreateVector(std::vector{weight});
    const auto meta = schema::CreateMeta(builder, 0, 0, 0, builder.CreateString("cpu"), 0, 1);
    schema::HeadBuilder head(builder);
    head.add_meta(meta);
    head.add_weights(weights);
    return head.Finish();
  });
}

// Bodies that each hold the next `width` times over, `depth` deep: a small file of so many tables.
Bytes withBodies(int depth, size_t width) {
  return fileOf([&](flatbuffers::FlatBufferBuilder& builder) {
    flatbuffers::Offset<schema::Head> body = schema::HeadBuilder(builder).Finish();
    const auto meta = schema::CreateMeta(builder, 0, 0, 0, builder.CreateString("cpu"), 0, 1);
    for (int i = 0; i < depth; ++i) {
      const auto bodies = builder.CreateVector(std::vector(width, body));
      schema::HeadBuilder head(builder);
      head.add_bodies(bodies);
      if (i + 1 == depth) head.add_meta(meta);
      body = head.Finish();
    }
    return body;
  });
}

// Many tensors that are one: a string of a MiB, named by each.
Bytes withSharedNames(size_t count) {
  return fileOf([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto name = builder.CreateString(std::string(1 << 20, 'n'));
    std::vector<flatbuffers::Offset<schema::Tensor>> tensors;
    for (size_t i = 0; i < count; ++i) tensors.push_back(schema::CreateTensor(builder, name));
    const auto all = builder.CreateVector(tensors);
    const auto meta = schema::CreateMeta(builder, 0, 0, 0, builder.CreateString("cpu"), 0, 1);
    schema::HeadBuilder head(builder);
    head.add_meta(meta);
    head.add_tensors(all);
    return head.Finish();
  });
}

Bytes patched(size_t at, uint64_t value, size_t bytes = 8) {
  Bytes file = serializeEngine(plain().data);
  std::memcpy(file.data() + at, &value, bytes);
  if (value < file.size()) rehash(file);
  return file;
}

// Loads, binds, and runs on inputs of 4s. Returns the error's text; "" where it runs.
std::string outcome(const std::function<std::shared_ptr<const EngineData>()>& load) {
  try {
    std::shared_ptr<const EngineData> engine = load();
    BindOptions options;
    options.threads = 1;
    options.findKernel = findKernel;
    auto context = LoadedEngine::create(engine, options)->createContext();
    std::vector<std::vector<float>> memory;
    for (size_t i = 0; i < engine->inputs.size(); ++i) {
      const EngineTensor& tensor = engine->tensors[engine->inputs[i]];
      std::vector<int64_t> dims;
      for (const DimProgram& dim : tensor.dims) dims.push_back(dim.constant().value_or(4));
      memory.emplace_back(elementCount(dims));
      context->setInputShape(static_cast<int>(i), dims);
      context->setInputAddress(static_cast<int>(i), memory.back().data());
    }
    context->prepare();
    for (size_t i = 0; i < engine->outputs.size(); ++i) {
      memory.emplace_back(elementCount(context->outputShape(static_cast<int>(i))));
      context->setOutputAddress(static_cast<int>(i), memory.back().data());
    }
    context->run();
    return "";
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::Internal) << error.what();
    return error.what();
  }
}

std::shared_ptr<const EngineData> plainEngine() {
  return std::make_shared<const EngineData>(plain().data);
}

// As `outcome`, in bounded memory and time.
void expectOutcome(const char* what, const std::string& mentions,
                   const std::function<std::shared_ptr<const EngineData>()>& load) {
  SCOPED_TRACE(what);
  // What is found out once, such as the machine's memory, is not to be that of the bound.
  static const std::string first = outcome(plainEngine);
  ASSERT_EQ(first, "");
  const std::clock_t start = std::clock();
  std::string text;
  {
    BoundedMemory bound(kMostBytes);
    text = outcome(load);
  }
  EXPECT_LT(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC, kMostSeconds);
  EXPECT_LT(text.size(), 50'000u);
  EXPECT_TRUE(mentions.empty() ? text.empty() : text.find(mentions) != std::string::npos)
      << text.substr(0, 500);
}

TEST(HostileEngines, OfBrokenFilesAreRefused) {
  struct Case {
    const char* what;
    const char* mentions;
    std::function<Bytes()> make;
  };
  const Case cases[] = {
      {"a head of 2^60 bytes", "a head longer than the file", [] { return patched(32, kHuge); }},
      {"a head of 2^64 - 1 bytes", "a head longer than the file",
       [] { return patched(32, ~0ULL); }},
      {"a head of no bytes", "broken structure", [] { return patched(32, 0); }},
      {"a file of 2^60 bytes", "needs 1152921504606846976 bytes",
       [] { return patched(40, kHuge); }},
      {"version 999", "engine format 999.", [] { return patched(8, 999, 4); }},
      {"a later minor", "engine format 1.999", [] { return patched(12, 999, 4); }},
      {"a section past the end", "outside the file", [] { return withSection(1 << 20, 4, {1}); }},
      {"a section far past the end", "outside the file", [] { return withSection(kHuge, 4, {1}); }},
      {"a section that wraps round", "outside the file",
       [] { return withSection(~0ULL - 63, 128, {32}); }},
      {"a section of 2^60 elements", "outside the file",
       [] { return withSection(0, 4 * kHuge, {kHuge}); }},
      {"2^60 elements in no bytes", "of 0 bytes", [] { return withSection(0, 0, {kHuge}); }},
      {"2^126 elements", "elements",
       [] {
         return withSection(0, 0, {1LL << 62, 1LL << 62, 4});
       }},
      {"a size below zero", "negative size", [] { return withSection(0, 0, {-1}); }},
      {"a rank of 100,000", "", [] { return withSection(0, 0, std::vector<int64_t>(100'000, 0)); }},
      {"bodies of bodies, 2^60 in all", "broken structure", [] { return withBodies(60, 2); }},
      {"bodies 4,000 deep", "broken structure", [] { return withBodies(4000, 1); }},
      {"one name for 4,000 tensors", "parts that overlap", [] { return withSharedNames(4000); }},
  };
  for (const Case& c : cases) {
    const Bytes file = c.make();
    expectOutcome(c.what, c.mentions, [&] { return deserializeEngine(file); });
  }
}

TEST(HostileEngines, ThatClaimWhatNobodyHasAreRefused) {
  struct Case {
    const char* what;
    const char* mentions;
    std::function<void(SampleEngine&)> spoil;
  };
  auto scratch = [](uint64_t bytes) {
    return [bytes](SampleEngine& e) {
      e.data.steps[0].variants[0] = {"test/scratch", 1, Scratch::parameters(bytes), {}, {}};
    };
  };
  auto dimOf = [](int tensor, const char* text) {
    return [tensor, text](SampleEngine& e) { e.data.tensors[tensor].dims[0] = e.program(text); };
  };
  const Case cases[] = {
      {"as it was", "", [](SampleEngine&) {}},
      {"an activation of 2^60 elements", "tensor a of 4611686018427387904 bytes",
       dimOf(kA, "1152921504606846976")},
      {"an activation of 2^64 bytes", "bits", dimOf(kA, "4611686018427387904*n")},
      {"an output of 2^60 elements", "tensor y of 4611686018427387904 bytes",
       dimOf(kY, "1152921504606846976")},
      {"dims that divide by zero", "divides by zero", dimOf(kA, "floordiv(n, n + -4)")},
      {"dims below zero", "dimension of -1", dimOf(kA, "n + -5")},
      {"scratch of 2^60 bytes", "bytes", scratch(kHuge)},
      {"scratch of 2^63 bytes", "bytes", scratch(uint64_t{1} << 63)},
      {"scratch of 2^64 - 1 bytes", "bytes", scratch(~0ULL)},
      {"scratch of 4 GiB", "bytes of memory free", scratch(uint64_t{4} << 30)},
      {"an unknown kernel", "cpu/no/such",
       [](SampleEngine& e) { e.data.steps[0].variants[0].kernel = "cpu/no/such"; }},
      {"a kernel's name of 8 MiB", "k",
       [](SampleEngine& e) { e.data.steps[0].variants[0].kernel.assign(8 << 20, 'k'); }},
      {"an unknown revision", "revision",
       [](SampleEngine& e) { e.data.steps[0].variants[0].revision = 999; }},
      {"parameters of another size", "a wrong size",
       [](SampleEngine& e) { e.data.steps[0].variants[0].parameters.resize(1 << 20); }},
      {"a step that reads what it writes", "nothing defined",
       [](SampleEngine& e) { e.data.steps[0].inputs[0] = kA; }},
      {"two steps in a circle", "nothing defined",
       [](SampleEngine& e) {
         const int32_t b = e.activation("b", {"n"});
         sum(e, "back", {kA}, b);
         e.data.steps[0].inputs[0] = b;
       }},
      {"steps the wrong way round", "nothing defined",
       [](SampleEngine& e) { std::swap(e.data.steps[0], e.data.steps[1]); }},
      {"a view past the end", "a part of the",
       [](SampleEngine& e) { e.viewOf(kA, e.activation("root", {"n"}), "4"); }},
      {"a view 2^60 bytes on", "a part of the",
       [](SampleEngine& e) { e.viewOf(kA, e.activation("root", {"n"}), "1152921504606846976"); }},
      {"a view before the start", "a part of the",
       [](SampleEngine& e) { e.viewOf(kA, e.activation("root", {"n"}), "-4"); }},
      {"a view of a view of itself", "view",
       [](SampleEngine& e) { e.viewOf(kA, e.viewOf(e.activation("b", {"n"}), kA)); }},
      {"a circle of symbols", "symbol",
       [](SampleEngine& e) {
         e.data.symbols.push_back({"m", 0, 0});
       }},
      {"4,097 threads", "threads", [](SampleEngine& e) { e.data.meta.threads = 4097; }},
      {"an unknown device", "an engine built for abacus",
       [](SampleEngine& e) { e.data.meta.deviceKind = "abacus"; }},
      {"unknown instructions", "for which the engine was built",
       [](SampleEngine& e) { e.data.meta.isaBits = ~0u; }},
  };
  for (const Case& c : cases) {
    SampleEngine sample = plain();
    c.spoil(sample);
    expectOutcome(c.what, c.mentions, [&] {
      validateEngine(sample.data);
      return std::make_shared<const EngineData>(sample.data);
    });
  }
}

// Nothing is wrong with these but their size; each is some MiB as a file.
TEST(HostileEngines, OfManyPartsTakeMemoryInProportion) {
  struct Case {
    const char* what;
    std::function<void(SampleEngine&)> grow;
  };
  const Case cases[] = {
      {"30,000 steps one after another",
       [](SampleEngine& e) {
         int32_t at = kX;
         for (int i = 0; i < 30'000; ++i) {
           const int32_t next = e.activation("t", {"n"});
           sum(e, "s", {at}, next);
           at = next;
         }
       }},
      {"30,000 activations that live to the end",
       [](SampleEngine& e) {
         std::vector<int32_t> all;
         for (int i = 0; i < 30'000; ++i) {
           all.push_back(e.activation("t", {"n"}));
           sum(e, "s", {kX}, all.back());
         }
         sum(e, "all", all, e.activation("sum", {"n"}));
       }},
      {"5,000 symbols",
       [](SampleEngine& e) {
         for (int i = 0; i < 5000; ++i) e.input(std::to_string(i), {"s" + std::to_string(i)});
       }},
      {"100,000 profiles",
       [](SampleEngine& e) {
         for (int i = 0; i < 100'000; ++i) e.data.profiles.push_back({{{1, 4, 8}}, true});
       }},
      {"100,000 variants of a step",
       [](SampleEngine& e) {
         auto& variants = e.data.steps[0].variants;
         variants[0].tunedAt = {1};
         variants.resize(100'000, variants[0]);
       }},
      {"100,000 guards",
       [](SampleEngine& e) {
         for (int i = 0; i < 100'000; ++i)
           e.data.guards.push_back({e.program("n"), e.program("4"), "n is four"});
       }},
  };
  for (const Case& c : cases) {
    SampleEngine sample = plain();
    c.grow(sample);
    const Bytes file = serializeEngine(sample.data);
    EXPECT_LT(file.size(), size_t{32} << 20);
    expectOutcome(c.what, "", [&] { return deserializeEngine(file); });
  }
}

}  // namespace
}  // namespace carnot
