#include <algorithm>

#include "base/error.h"
#include "engine/head.h"
#include "engine/schema/engine_generated.h"

namespace carnot {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// FlatBuffers ends at 2 GiB; what makes a head large is counted before.
constexpr size_t kLargestHead = size_t{1} << 30;

const uint8_t* bytesOf(const void* data) { return static_cast<const uint8_t*>(data); }

class Writer {
 public:
  std::vector<std::byte> write(const EngineData& engine, std::span<const WeightSection> sections) {
    fbb_.Finish(writeHead(engine, sections));
    const auto* data = reinterpret_cast<const std::byte*>(fbb_.GetBufferPointer());
    return {data, data + fbb_.GetSize()};
  }

 private:
  Offset<schema::Head> writeHead(const EngineData& engine,
                                 std::span<const WeightSection> sections) {
    auto bodies = each<schema::Head>(engine.bodies,
                                     [&](const EngineData& body) { return writeHead(body, {}); });
    auto meta = writeMeta(engine.meta);
    auto symbols = each<schema::Symbol>(engine.symbols, [&](const EngineSymbol& symbol) {
      return schema::CreateSymbol(fbb_, text(symbol.name), symbol.input, symbol.axis,
                                  symbol.tensor);
    });
    auto profiles = each<schema::Profile>(engine.profiles, [&](const EngineProfile& profile) {
      std::vector<int64_t> ranges;
      for (const EngineProfile::Range& range : profile.symbols)
        ranges.insert(ranges.end(), {range.min, range.opt, range.max});
      return schema::CreateProfile(fbb_, profile.enforced, fbb_.CreateVector(ranges));
    });
    auto guards = each<schema::Guard>(engine.guards, [&](const EngineGuard& guard) {
      const DimProgram both[] = {guard.a, guard.b};
      return schema::CreateGuard(fbb_, programs(both), text(guard.what));
    });
    auto tensors = each<schema::Tensor>(
        engine.tensors, [&](const EngineTensor& tensor) { return writeTensor(tensor); });
    auto steps =
        each<schema::Step>(engine.steps, [&](const EngineStep& step) { return writeStep(step); });
    size_t next = 0;
    auto weights = each<schema::Weight>(engine.weights, [&](const EngineWeight& weight) {
      const WeightSection& section = sections[next++];
      return schema::CreateWeight(fbb_, static_cast<uint8_t>(weight.dtype),
                                  fbb_.CreateVector(weight.dims), section.offset, section.bytes,
                                  section.hash.low, section.hash.high);
    });
    auto inputs = fbb_.CreateVector(engine.inputs);
    auto outputs = fbb_.CreateVector(engine.outputs);
    return schema::CreateHead(fbb_, meta, symbols, profiles, guards, tensors, inputs, outputs,
                              steps, weights, bodies);
  }

  // CreateString would stop at no 0 byte either; sharing is left out on purpose (engine.fbs).
  Offset<flatbuffers::String> text(const std::string& value) { return fbb_.CreateString(value); }

  template <typename Table, typename Source, typename Make>
  Offset<flatbuffers::Vector<Offset<Table>>> each(const std::vector<Source>& items, Make make) {
    std::vector<Offset<Table>> offsets;
    offsets.reserve(items.size());
    for (const Source& item : items) offsets.push_back(make(item));
    return fbb_.CreateVector(offsets);
  }

  Offset<schema::Programs> programs(std::span<const DimProgram> items) {
    if (items.empty()) return 0;
    std::vector<uint32_t> ends;
    std::vector<int64_t> code;
    for (const DimProgram& item : items) {
      code.insert(code.end(), item.code.begin(), item.code.end());
      ends.push_back(static_cast<uint32_t>(code.size()));
    }
    auto endsOffset = fbb_.CreateVector(ends);
    return schema::CreatePrograms(fbb_, endsOffset, fbb_.CreateVector(code));
  }

  Offset<schema::Strings> strings(const std::vector<std::string>& items) {
    if (items.empty()) return 0;
    std::vector<uint32_t> ends;
    std::string all;
    for (const std::string& item : items) {
      all += item;
      ends.push_back(static_cast<uint32_t>(all.size()));
    }
    auto endsOffset = fbb_.CreateVector(ends);
    return schema::CreateStrings(fbb_, endsOffset,
                                 fbb_.CreateVector(bytesOf(all.data()), all.size()));
  }

  Offset<schema::Meta> writeMeta(const EngineMeta& meta) {
    return schema::CreateMeta(fbb_, text(meta.producer), text(meta.modelName), text(meta.device),
                              text(meta.deviceKind), meta.isaBits, meta.threads,
                              text(meta.explanation), meta.computeCapability);
  }

  Offset<schema::Tensor> writeTensor(const EngineTensor& tensor) {
    auto name = text(tensor.name);
    auto dims = programs(tensor.dims);
    auto contents = programs(tensor.contents);
    Offset<schema::Programs> viewOffset = 0;
    if (!tensor.viewOffset.code.empty()) viewOffset = programs({&tensor.viewOffset, 1});
    return schema::CreateTensor(fbb_, name, static_cast<uint8_t>(tensor.kind),
                                static_cast<uint8_t>(tensor.dtype),
                                static_cast<uint8_t>(tensor.layout.kind), tensor.layout.block,
                                tensor.weight, tensor.viewOf, dims, contents, viewOffset);
  }

  Offset<schema::Step> writeStep(const EngineStep& step) {
    auto variants = each<schema::Variant>(step.variants, [&](const EngineStep::Variant& variant) {
      auto kernel = text(variant.kernel);
      auto parameters =
          fbb_.CreateVector(bytesOf(variant.parameters.data()), variant.parameters.size());
      auto weights = fbb_.CreateVector(variant.weights);
      return schema::CreateVariant(fbb_, kernel, variant.revision, parameters, weights,
                                   fbb_.CreateVector(variant.tunedAt));
    });
    auto name = text(step.name);
    auto region = text(step.region);
    auto origins = strings(step.origins);
    auto regionInputs = fbb_.CreateVector(step.regionInputs);
    auto inputs = fbb_.CreateVector(step.inputs);
    auto outputs = fbb_.CreateVector(step.outputs);
    auto bodies = fbb_.CreateVector(step.bodies);
    return schema::CreateStep(fbb_, name, region, origins, regionInputs, inputs, outputs, variants,
                              static_cast<uint8_t>(step.precision),
                              static_cast<uint8_t>(step.control), bodies, step.carried);
  }

  FlatBufferBuilder fbb_{64 * 1024};
};

// What makes the head large, roughly.
size_t headBytes(const EngineData& engine) {
  size_t bytes = engine.meta.explanation.size() + engine.tensors.size() * 256;
  for (const EngineStep& step : engine.steps) {
    bytes += step.region.size() + 256;
    for (const EngineStep::Variant& variant : step.variants) bytes += variant.parameters.size();
  }
  for (const EngineData& body : engine.bodies) bytes += headBytes(body);
  return bytes;
}

void refuseHugeHead(const EngineData& engine) {
  const size_t bytes = headBytes(engine);
  if (bytes > kLargestHead)
    throw Error(ErrorCode::Unsupported,
                fmt::format("an engine with {} MB beside its weights", bytes >> 20),
                fmt::format("at most {} MB", kLargestHead >> 20), "split the model");
}

}  // namespace

std::vector<std::byte> writeHead(const EngineData& engine,
                                 std::span<const WeightSection> sections) {
  ensure(sections.size() == engine.weights.size(), "every weight has a section");
  refuseHugeHead(engine);
  return Writer().write(engine, sections);
}

}  // namespace carnot
