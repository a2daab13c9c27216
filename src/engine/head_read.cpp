#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "engine/head.h"
#include "engine/schema/engine_generated.h"

namespace carnot {
namespace {

[[noreturn]] void throwDamaged(std::string_view what) {
  throw Error(ErrorCode::InvalidModel, fmt::format("an engine head with {}", what),
              "a head as Carnot writes it", "the file is damaged; build the engine again");
}

template <typename T>
using Tables = flatbuffers::Vector<flatbuffers::Offset<T>>;

// Bodies within one another.
constexpr uint32_t kMostNested = 64;

// Copies a verified head. The verifier lets many offsets point at one object, so that a small file
// could ask for much memory: what is copied is counted against the head's size.
class Reader {
 public:
  explicit Reader(size_t bytes) : left_(bytes) {}

  EngineData read(const schema::Head& head, std::vector<WeightSection>& sections) {
    if (!head.meta()) throwDamaged("no description");
    return readEngine(head, sections);
  }

 private:
  // Of bodies `sections` gets what they must not have.
  EngineData readEngine(const schema::Head& head, std::vector<WeightSection>& sections) {
    EngineData engine;
    if (head.meta()) readMeta(*head.meta(), engine.meta);
    each(head.bodies(), engine.bodies, [&](const schema::Head& in, EngineData& out) {
      std::vector<WeightSection> none;
      out = readEngine(in, none);
    });
    each(head.symbols(), engine.symbols, [&](const schema::Symbol& in, EngineSymbol& out) {
      out = {text(in.name()), in.input(), in.axis(), in.tensor()};
    });
    each(head.profiles(), engine.profiles, [&](const schema::Profile& in, EngineProfile& out) {
      out.enforced = in.enforced();
      std::vector<int64_t> ranges = numbers(in.ranges());
      if (ranges.size() % 3 != 0) throwDamaged("a profile of a wrong length");
      for (size_t i = 0; i < ranges.size(); i += 3)
        out.symbols.push_back({ranges[i], ranges[i + 1], ranges[i + 2]});
    });
    each(head.guards(), engine.guards, [&](const schema::Guard& in, EngineGuard& out) {
      std::vector<DimProgram> both = programs(in.programs());
      if (both.size() != 2) throwDamaged("a guard without two sides");
      out = {std::move(both[0]), std::move(both[1]), text(in.what())};
    });
    each(head.tensors(), engine.tensors,
         [&](const schema::Tensor& in, EngineTensor& out) { readTensor(in, out); });
    engine.inputs = numbers(head.inputs());
    engine.outputs = numbers(head.outputs());
    each(head.steps(), engine.steps,
         [&](const schema::Step& in, EngineStep& out) { readStep(in, out); });
    each(head.weights(), engine.weights, [&](const schema::Weight& in, EngineWeight& out) {
      out.dtype = dtype(in.dtype());
      out.dims = numbers(in.dims());
      sections.push_back({in.offset(), in.bytes(), {in.hash_low(), in.hash_high()}});
    });
    return engine;
  }

  void take(size_t bytes) {
    if (bytes > left_) throwDamaged("parts that overlap");
    left_ -= bytes;
  }

  std::string text(const flatbuffers::String* in) {
    if (!in) return {};
    take(in->size());
    return in->str();
  }

  template <typename T>
  std::vector<T> numbers(const flatbuffers::Vector<T>* in) {
    if (!in) return {};
    take(in->size() * sizeof(T));
    std::vector<T> out(in->size());
    // The verifier does not see to the alignment of 8-byte elements.
    if (!out.empty()) std::memcpy(out.data(), in->Data(), out.size() * sizeof(T));
    return out;
  }

  template <typename Table, typename T, typename Read>
  void each(const Tables<Table>* in, std::vector<T>& out, Read read) {
    if (!in) return;
    out.reserve(in->size());
    for (const Table* item : *in) read(*item, out.emplace_back());
  }

  // The ends of consecutive parts of [0, size).
  std::vector<uint32_t> ends(const flatbuffers::Vector<uint32_t>* in, size_t size) {
    std::vector<uint32_t> out = numbers(in);
    if (!std::is_sorted(out.begin(), out.end()) || (out.empty() ? 0 : out.back()) != size)
      throwDamaged("parts of a wrong length");
    return out;
  }

  std::vector<DimProgram> programs(const schema::Programs* in) {
    if (!in) return {};
    std::vector<int64_t> code = numbers(in->code());
    std::vector<DimProgram> out;
    uint32_t begin = 0;
    for (uint32_t end : ends(in->ends(), code.size())) {
      out.push_back({{code.begin() + begin, code.begin() + end}});
      begin = end;
    }
    return out;
  }

  std::vector<std::string> strings(const schema::Strings* in) {
    if (!in) return {};
    std::vector<uint8_t> all = numbers(in->text());
    std::vector<std::string> out;
    uint32_t begin = 0;
    for (uint32_t end : ends(in->ends(), all.size())) {
      out.emplace_back(all.begin() + begin, all.begin() + end);
      begin = end;
    }
    return out;
  }

  static DType dtype(uint8_t code) {
    if (code >= kDTypeCount) throwDamaged("an unknown element type");
    return static_cast<DType>(code);
  }

  void readMeta(const schema::Meta& in, EngineMeta& out) {
    out.producer = text(in.producer());
    out.modelName = text(in.model_name());
    out.device = text(in.device());
    out.deviceKind = text(in.device_kind());
    out.isaBits = in.isa_bits();
    out.threads = in.threads();
    out.explanation = text(in.explanation());
    out.computeCapability = in.compute_capability();
  }

  void readTensor(const schema::Tensor& in, EngineTensor& out) {
    out.name = text(in.name());
    if (in.kind() > static_cast<uint8_t>(EngineTensor::Kind::Found))
      throwDamaged("an unknown kind of tensor");
    out.kind = static_cast<EngineTensor::Kind>(in.kind());
    out.dtype = dtype(in.dtype());
    if (in.layout() > static_cast<uint8_t>(Layout::Kind::ChannelBlocked))
      throwDamaged("an unknown layout");
    out.layout = {static_cast<Layout::Kind>(in.layout()), in.block()};
    out.weight = in.weight();
    out.viewOf = in.view_of();
    out.dims = programs(in.dims());
    out.contents = programs(in.contents());
    if (std::vector<DimProgram> offset = programs(in.view_offset()); offset.size() == 1)
      out.viewOffset = std::move(offset[0]);
    else if (!offset.empty())
      throwDamaged("a view of several offsets");
  }

  void readStep(const schema::Step& in, EngineStep& out) {
    out.name = text(in.name());
    out.region = text(in.region());
    out.origins = strings(in.origins());
    out.regionInputs = numbers(in.region_inputs());
    out.inputs = numbers(in.inputs());
    out.outputs = numbers(in.outputs());
    out.precision = dtype(in.precision());
    each(in.variants(), out.variants, [&](const schema::Variant& from, EngineStep::Variant& to) {
      to.kernel = text(from.kernel());
      to.revision = from.revision();
      std::vector<uint8_t> parameters = numbers(from.parameters());
      const auto* bytes = reinterpret_cast<const std::byte*>(parameters.data());
      to.parameters.assign(bytes, bytes + parameters.size());
      to.weights = numbers(from.weights());
      to.tunedAt = numbers(from.tuned_at());
    });
    if (in.control() > static_cast<uint8_t>(EngineStep::Control::Loop))
      throwDamaged("a step of an unknown kind");
    out.control = static_cast<EngineStep::Control>(in.control());
    out.bodies = numbers(in.bodies());
    out.carried = in.carried();
  }

  size_t left_;
};

}  // namespace

EngineData readHead(std::span<const std::byte> head, std::vector<WeightSection>& sections) {
  // Every table takes 16 bytes or more where nothing is shared.
  flatbuffers::Verifier verifier(
      reinterpret_cast<const uint8_t*>(head.data()), head.size(), /*max_depth=*/8 + 2 * kMostNested,
      static_cast<flatbuffers::uoffset_t>(std::min<size_t>(head.size() / 16, UINT32_MAX)));
  if (head.size() >= FLATBUFFERS_MAX_BUFFER_SIZE || !verifier.VerifyBuffer<schema::Head>(nullptr))
    throwDamaged("a broken structure");
  sections.clear();
  return Reader(head.size()).read(*flatbuffers::GetRoot<schema::Head>(head.data()), sections);
}

}  // namespace carnot
