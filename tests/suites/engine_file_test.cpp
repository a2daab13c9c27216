#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "base/error.h"
#include "base/hash.h"
#include "sample_engine.h"

namespace carnot {
namespace {

using testing::SampleEngine;
using Bytes = std::vector<std::byte>;

// One of everything that an engine may hold.
EngineData fullEngine() {
  SampleEngine sample;
  int32_t a = sample.input("a", {"batch", "3", "height", "width"});
  int32_t b = sample.input("b", {"batch", "4"}, DType::I64);
  int32_t blocked = sample.activation("blocked", {"batch", "3", "height", "floordiv(width, 2)"});
  sample.data.tensors[blocked].layout = Layout::channelBlocked(16);
  int32_t flat = sample.activation("flat", {"3*batch*height*width"});
  int32_t view = sample.viewOf(sample.activation("view", {"batch", "3"}), flat, "4*batch");
  int32_t half = sample.constant("half", Tensor::scalar(DType::F16, 0.5));
  int32_t many = sample.constant("many", Tensor::ofInts({3}, std::vector<int64_t>{1, 2, 3}));
  int32_t shape = sample.shape("shape", {"batch", "3*height", "-1"});
  int32_t y = sample.output("y", {"batch", "3"});
  sample.data.tensors[sample.output("copy", {"batch", "3"})].viewOf = view;
  sample.data.outputs.push_back(many);
  sample.data.tensors[sample.activation("packed", {"16", "3"})].kind = EngineTensor::Kind::Packed;
  sample.data.profiles.push_back({{{1, 4, 8}, {1, 32, 64}, {1, 32, 64}}, true});
  sample.data.profiles.push_back({{{1, 1, 1}, {1, 2, 3}, {2, 2, 2}}, false});
  sample.data.guards.push_back(
      {sample.program("height"), sample.program("2*width"), "height of a is twice its width"});
  sample.step("first", {a, half, -1}, {blocked}, "cpu/first", {std::byte{1}, std::byte{0}});
  EngineStep& second = sample.step("second", {blocked, b, shape}, {view, y}, "cpu/second");
  second.region = "(a,b) c=Add(a,b) -> c";
  second.origins = {"node one", "node two", ""};
  int32_t state = sample.state("state", {"batch", "3"});
  int32_t updated = sample.viewOf(sample.activation("updated", {"batch", "3"}), state);
  int32_t packed = sample.weight(Tensor(DType::U8, {0}));
  second.variants[0].tunedAt = {1, 32, 32};
  second.variants.push_back({"cpu/other", 3, Bytes(100, std::byte{7}), {packed, 0}, {8, 64, 64}});
  sample.step("third", {state, y}, {updated}, "cpu/third");
  return sample.data;
}

// One with dims that depend on data and bodies.
EngineData nestedEngine() {
  auto body = [](const char* factor) {
    SampleEngine sample;
    const int32_t x = sample.input("x", {"n"});
    const int32_t y = sample.output("y", {"n"});
    sample.step(factor, {x}, {y}, "test/body");
    return sample.data;
  };
  SampleEngine loop;
  loop.input("iteration", {}, DType::I64);
  const int32_t goesOn = loop.input("goesOn", {}, DType::Bool);
  const int32_t carried = loop.input("carried", {"n"});
  const int32_t next = loop.output("next", {}, DType::Bool);
  loop.data.tensors[next].viewOf = goesOn;
  const int32_t after = loop.output("after", {"n"});
  loop.step("step", {carried}, {after}, "test/loop");
  const int32_t part = loop.output("part", {"n"});
  loop.data.tensors[part].viewOf = carried;

  SampleEngine sample;
  const int32_t x = sample.input("x", {"batch"});
  const int32_t condition = sample.input("condition", {}, DType::Bool);
  const int32_t kept = sample.found("kept", {"count"});
  sample.step("keep", {x}, {kept}, "test/keep");
  const int32_t chosen = sample.found("chosen", {"size"});
  sample.control("if", EngineStep::Control::If, {condition, kept}, {chosen},
                 {body("then"), body("else")});
  const int32_t last = sample.found("last", {"size2"}),
                all = sample.found("all", {"trips", "size3"});
  sample.control("loop", EngineStep::Control::Loop, {-1, condition, chosen}, {last, all},
                 {loop.data}, 1);
  const int32_t y = sample.output("y", {"size2 + count"});
  sample.step("end", {last, kept, all}, {y}, "test/end");
  sample.data.guards.push_back({sample.program("size2"), sample.program("size3"), "sizes"});
  return sample.data;
}

// "" for an engine equal to the one that gave `original`, the error's text otherwise; anything else
// that is thrown or crashes fails the test.
std::string outcomeOf(const Bytes& bytes, const Bytes& original) {
  try {
    auto engine = deserializeEngine(bytes, /*verifyWeights=*/true);
    EXPECT_EQ(serializeEngine(*engine), original) << "loaded as another engine";
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string temporaryPath(const char* name) {
  return (std::filesystem::path(::testing::TempDir()) / name).string();
}

TEST(EngineFile, RoundTrips) {
  EXPECT_EQ(outcomeOf(serializeEngine(nestedEngine()), serializeEngine(nestedEngine())), "");
  EngineData engine = fullEngine();
  Bytes bytes = serializeEngine(engine);
  EXPECT_EQ(serializeEngine(engine), bytes) << "same engine, other bytes";
  EXPECT_EQ(outcomeOf(bytes, bytes), "");

  std::string path = temporaryPath("round_trip.engine");
  saveEngine(engine, path);
  EXPECT_EQ(std::filesystem::file_size(path), bytes.size());
  auto loaded = loadEngine(path, true);
  EXPECT_EQ(serializeEngine(*loaded), bytes);
  EXPECT_EQ(loaded->steps[1].origins, engine.steps[1].origins);
  EXPECT_EQ(loaded->tensors[2].layout, Layout::channelBlocked(16));
  EXPECT_EQ(loaded->weights[1].data.toInts(), (std::vector<int64_t>{1, 2, 3}));
  for (const EngineWeight& weight : loaded->weights)
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weight.data.data()) % 64, 0u);
  saveEngine(*loaded, path);  // over the file that is mapped
  EXPECT_EQ(serializeEngine(*loadEngine(path)), bytes);
  std::filesystem::remove(path);
  EXPECT_EQ(loaded->weights[1].data.toInts(), (std::vector<int64_t>{1, 2, 3}));
}

TEST(EngineFile, RefusesEveryTruncation) {
  Bytes whole = serializeEngine(fullEngine());
  for (size_t size = 0; size < whole.size(); ++size) {
    Bytes cut(whole.begin(), whole.begin() + size);
    EXPECT_NE(outcomeOf(cut, whole), "") << "cut to " << size;
  }
  Bytes longer = whole;
  longer.push_back({});
  EXPECT_NE(outcomeOf(longer, whole), "");
}

TEST(EngineFile, SurvivesEveryChangedByte) {
  Bytes whole = serializeEngine(fullEngine());
  std::mt19937 random(1);
  for (size_t at = 0; at < whole.size(); ++at) {
    Bytes changed = whole;
    changed[at] ^= static_cast<std::byte>(1 + random() % 255);
    outcomeOf(changed, whole);
  }
}

// The hash turns away what chance does; this turns away what someone meant.
void surviveChangesUnderAValidHash(const Bytes& whole) {
  uint64_t headBytes;
  std::memcpy(&headBytes, whole.data() + 32, 8);
  auto rehash = [&](Bytes& bytes) {
    Hash128 hash = hash128(bytes.data() + 32, 32 + headBytes);
    std::memcpy(bytes.data() + 16, &hash.low, 8);
    std::memcpy(bytes.data() + 24, &hash.high, 8);
  };
  std::mt19937 random(2);
  size_t refused = 0;
  for (size_t at = 32; at < 64 + headBytes; ++at) {
    for (int value : {0, 255, static_cast<int>(random() % 256)}) {
      Bytes changed = whole;
      changed[at] = static_cast<std::byte>(value);
      rehash(changed);
      try {
        auto engine = deserializeEngine(changed);
        Bytes again = serializeEngine(*engine);
        EXPECT_EQ(serializeEngine(*deserializeEngine(again)), again);
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, headBytes / 4);
}
TEST(EngineFile, SurvivesChangesUnderAValidHash) {
  surviveChangesUnderAValidHash(serializeEngine(fullEngine()));
}
TEST(EngineFile, SurvivesChangesOfBodiesUnderAValidHash) {
  surviveChangesUnderAValidHash(serializeEngine(nestedEngine()));
}

TEST(EngineFile, FindsAlteredWeightsWhenAsked) {
  EngineData engine = fullEngine();
  Bytes bytes = serializeEngine(engine);
  bytes[bytes.size() - 64] ^= std::byte{1};  // the last section is empty, the one before is not
  EXPECT_NO_THROW(deserializeEngine(bytes));
  EXPECT_THROW(deserializeEngine(bytes, true), Error);
}

TEST(EngineFile, SaysBothVersions) {
  Bytes bytes = serializeEngine(fullEngine());
  struct Case {
    uint32_t major, minor;
    const char* has;
  };
  for (Case c : {Case{2, 3, "format 2.3"}, Case{0, 9, "format 0.9"}, Case{1, 2, "format 1.2"}}) {
    Bytes other = bytes;
    std::memcpy(other.data() + 8, &c.major, 4);
    std::memcpy(other.data() + 12, &c.minor, 4);
    try {
      deserializeEngine(other);
      FAIL() << "loaded " << c.has;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Incompatible);
      EXPECT_NE(error.has().find(c.has), std::string::npos) << error.has();
      EXPECT_NE(error.needs().find("1.0"), std::string::npos) << error.needs();
      EXPECT_NE(error.remedy().find("build the engine again"), std::string::npos);
    }
  }
}

TEST(EngineFile, NamesTheFileInErrors) {
  std::string path = temporaryPath("not_an_engine.engine");
  std::ofstream(path) << "some text";
  try {
    loadEngine(path);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("carnot build"), std::string::npos) << error.what();
  }
  std::filesystem::remove(path);
  EXPECT_THROW(loadEngine(path), Error);
}

TEST(EngineFile, RefusesBodiesAndFoundDimsThatDoNotHold) {
  struct Case {
    const char* mentions;
    std::function<void(EngineData&)> spoil;
  };
  const Case cases[] = {
      {"read off another dimension", [](EngineData& e) { e.symbols[1].axis = 1; }},
      {"read off another dimension", [](EngineData& e) { e.symbols[1].tensor = 0; }},
      {"beyond the last", [](EngineData& e) { e.symbols[1].tensor = 99; }},
      {"nothing defined", [](EngineData& e) { std::swap(e.steps[0], e.steps[1]); }},
      {"before its dims are known",
       [](EngineData& e) {
         // An activation of the size that the step itself is about to find.
         EngineTensor tensor = e.tensors[e.outputs[0]];
         tensor.kind = EngineTensor::Kind::Activation;
         e.tensors.push_back(tensor);
         e.steps.insert(e.steps.begin(), e.steps.back());
         e.steps[0].inputs = e.steps[0].regionInputs = {0};
         e.steps[0].outputs = {static_cast<int32_t>(e.tensors.size()) - 1};
       }},
      {"control with a kernel", [](EngineData& e) { e.steps[1].variants = e.steps[0].variants; }},
      {"no kernel", [](EngineData& e) { e.steps[0].variants.clear(); }},
      {"bodies without control", [](EngineData& e) { e.steps[0].bodies = {0}; }},
      {"beyond the last", [](EngineData& e) { e.steps[1].bodies[1] = 7; }},
      {"1 bodies", [](EngineData& e) { e.steps[1].bodies.pop_back(); }},
      {"more carried tensors", [](EngineData& e) { e.steps[2].carried = 2; }},
      {"more carried tensors", [](EngineData& e) { e.steps[2].carried = -1; }},
      {"condition of another type", [](EngineData& e) { e.steps[1].inputs[0] = 0; }},
      {"trip count", [](EngineData& e) { e.steps[2].inputs[0] = 0; }},
      {"a body of", [](EngineData& e) { e.steps[1].inputs.push_back(0); }},
      {"another type than", [](EngineData& e) { e.bodies[0].tensors[1].dtype = DType::F64; }},
      {"one int64", [](EngineData& e) { e.bodies[2].tensors[0].dtype = DType::F32; }},
      {"weights or profiles", [](EngineData& e) { e.bodies[0].profiles.emplace_back(); }},
      {"read off another dimension",
       [](EngineData& e) {
         e.tensors[e.steps[1].outputs[0]].kind = EngineTensor::Kind::Activation;
       }},
  };
  for (const Case& c : cases) {
    EngineData engine = nestedEngine();
    validateEngine(engine);
    c.spoil(engine);
    try {
      validateEngine(engine);
      ADD_FAILURE() << "taken: " << c.mentions;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidModel);
      EXPECT_NE(std::string(error.what()).find(c.mentions), std::string::npos) << error.what();
    }
  }
  EngineData deep;
  for (int i = 0; i < 70; ++i) {
    EngineData around;
    around.bodies.push_back(std::move(deep));
    deep = std::move(around);
  }
  EXPECT_THROW(validateEngine(deep), Error);
}

TEST(EngineFile, RefusesEnginesThatDoNotHold) {
  using Break = void (*)(EngineData&);
  const std::pair<const char*, Break> cases[] = {
      {"threads", [](EngineData& e) { e.meta.threads = 0; }},
      {"input index", [](EngineData& e) { e.inputs[0] = 99; }},
      {"input twice", [](EngineData& e) { e.inputs[1] = e.inputs[0]; }},
      {"input unlisted", [](EngineData& e) { e.inputs.pop_back(); }},
      {"output unlisted", [](EngineData& e) { e.outputs.erase(e.outputs.begin()); }},
      {"output undefined", [](EngineData& e) { e.outputs.push_back(3), e.steps.clear(); }},
      {"same names", [](EngineData& e) { e.tensors[1].name = e.tensors[0].name; }},
      {"symbol elsewhere", [](EngineData& e) { e.symbols[1].axis = 3; }},
      {"symbol of no input", [](EngineData& e) { e.symbols[0].input = -1; }},
      {"symbol twice", [](EngineData& e) { e.symbols[1].name = e.symbols[0].name; }},
      {"profile size", [](EngineData& e) { e.profiles[0].symbols.pop_back(); }},
      {"profile order",
       [](EngineData& e) {
         e.profiles[0].symbols[0] = {4, 2, 8};
       }},
      {"guard",
       [](EngineData& e) {
         e.guards[0].a.code = {1, 17};
       }},
      {"dims", [](EngineData& e) { e.tensors[3].dims[0].code.clear(); }},
      {"view of itself", [](EngineData& e) { e.tensors[4].viewOf = 4; }},
      {"view of a view", [](EngineData& e) { e.tensors[2].viewOf = 4; }},
      {"view offset", [](EngineData& e) { e.tensors[4].viewOffset.code.clear(); }},
      {"view as constant", [](EngineData& e) { e.tensors[5].viewOf = 3; }},
      {"weight index", [](EngineData& e) { e.tensors[5].weight = 9; }},
      {"weight type", [](EngineData& e) { e.tensors[5].dtype = DType::I8; }},
      {"weight on none", [](EngineData& e) { e.tensors[2].weight = 0; }},
      {"weight dims", [](EngineData& e) { e.weights[1].dims = {4}; }},
      {"weight dims negative",
       [](EngineData& e) {
         e.weights[1].dims = {-3, -1};
       }},
      {"weight dims huge",
       [](EngineData& e) {
         e.weights[1].dims = {1LL << 62, 8};
       }},
      {"contents", [](EngineData& e) { e.tensors[7].contents.pop_back(); }},
      {"shape type", [](EngineData& e) { e.tensors[7].dtype = DType::F32; }},
      {"layout of an input", [](EngineData& e) { e.tensors[0].layout = Layout::channelsLast(); }},
      {"layout of rank 2", [](EngineData& e) { e.tensors[4].layout = Layout::channelsLast(); }},
      {"block of 0", [](EngineData& e) { e.tensors[2].layout.block = 0; }},
      {"step input", [](EngineData& e) { e.steps[0].inputs[0] = 1000; }},
      {"step input below", [](EngineData& e) { e.steps[0].inputs[0] = -2; }},
      {"step order", [](EngineData& e) { std::swap(e.steps[0], e.steps[1]); }},
      {"step output", [](EngineData& e) { e.steps[0].outputs[0] = -1; }},
      {"step writes an input", [](EngineData& e) { e.steps[0].outputs[0] = 0; }},
      {"step writes a constant", [](EngineData& e) { e.steps[0].outputs[0] = 6; }},
      {"written twice", [](EngineData& e) { e.steps[1].outputs[1] = e.steps[1].outputs[0]; }},
      {"no outputs", [](EngineData& e) { e.steps[0].outputs.clear(); }},
      {"no variants", [](EngineData& e) { e.steps[0].variants.clear(); }},
      {"no kernel", [](EngineData& e) { e.steps[0].variants[0].kernel.clear(); }},
      {"variant weight", [](EngineData& e) { e.steps[1].variants[1].weights[0] = 9; }},
      {"variant tuned at", [](EngineData& e) { e.steps[1].variants[1].tunedAt.clear(); }},
      {"variant tuned in part", [](EngineData& e) { e.steps[1].variants[1].tunedAt.push_back(1); }},
      {"copy of another type", [](EngineData& e) { e.tensors[4].dtype = DType::F16; }},
      {"packed as an input", [](EngineData& e) { e.steps[1].inputs[0] = 10; }},
      {"packed as an output", [](EngineData& e) { e.outputs.push_back(10); }},
      {"view of a packed one", [](EngineData& e) { e.tensors[4].viewOf = 10; }},
      {"state unlisted", [](EngineData& e) { e.inputs.pop_back(); }},
      {"state before an input", [](EngineData& e) { std::swap(e.inputs[1], e.inputs[2]); }},
      {"state that is none", [](EngineData& e) { e.tensors[11].kind = EngineTensor::Kind::Shape; }},
      {"state in a layout", [](EngineData& e) { e.tensors[11].layout = Layout::channelsLast(); }},
      {"state with a weight", [](EngineData& e) { e.tensors[11].weight = 0; }},
      {"state as a view", [](EngineData& e) { e.tensors[11].viewOf = 3; }},
      {"state written twice", [](EngineData& e) { e.steps[2].outputs.push_back(12); }},
      {"region input", [](EngineData& e) { e.steps[1].regionInputs[0] = 77; }},
  };
  EXPECT_NO_THROW(validateEngine(fullEngine()));
  for (const auto& [name, damage] : cases) {
    EngineData engine = fullEngine();
    damage(engine);
    EXPECT_THROW(validateEngine(engine), Error) << name;
  }
}

}  // namespace
}  // namespace carnot
