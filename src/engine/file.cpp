#include <carnot/engine.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/shape.h"
#include "base/version.h"
#include "engine/engine.h"
#include "engine/head.h"

namespace carnot {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

// Majors break; a minor appends to the schema, so that newer Carnots read older minors.
constexpr uint32_t kFormatMajor = 1, kFormatMinor = 1;
constexpr size_t kAlignment = 64;
// Not text, and damaged by transfers as text.
constexpr char kMagic[8] = {'\x89', 'C', 'A', 'R', 'N', 'O', 'T', '\n'};

// What an engine file starts with; the head follows, then the weights, each from a multiple of 64.
struct Preamble {
  char magic[8];
  uint32_t major, minor;
  uint64_t hashLow, hashHigh;  // XXH3-128 of all that follows up to the head's end
  uint64_t headBytes;
  uint64_t fileBytes;
  char producer[16];
};
static_assert(sizeof(Preamble) == kAlignment);
constexpr size_t kHashedFrom = offsetof(Preamble, headBytes);

constexpr uint64_t alignUp(uint64_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); }

// The preamble and the head as one; what is left of the file are the weights.
struct Front {
  std::vector<std::byte> bytes;
  std::vector<WeightSection> sections;
};

Front makeFront(const EngineData& engine) {
  validateEngine(engine);
  Front front;
  uint64_t weightBytes = 0;
  for (const EngineWeight& weight : engine.weights) {
    size_t bytes = weight.data.bytes();
    weightBytes = alignUp(weightBytes);
    front.sections.push_back({weightBytes, bytes, hash128(weight.data.data(), bytes)});
    weightBytes += bytes;
  }
  std::vector<std::byte> head = writeHead(engine, front.sections);
  Preamble preamble{};
  std::memcpy(preamble.magic, kMagic, sizeof kMagic);
  preamble.major = kFormatMajor;
  preamble.minor = kFormatMinor;
  preamble.headBytes = head.size();
  preamble.fileBytes = alignUp(sizeof preamble + head.size()) + weightBytes;
  std::string producer = fmt::format("carnot {}", version());
  std::memcpy(preamble.producer, producer.data(),
              std::min(producer.size(), sizeof preamble.producer));
  front.bytes.resize(sizeof preamble + head.size());
  std::memcpy(front.bytes.data() + sizeof preamble, head.data(), head.size());
  std::memcpy(front.bytes.data(), &preamble, sizeof preamble);
  Hash128 hash = hash128(front.bytes.data() + kHashedFrom, front.bytes.size() - kHashedFrom);
  preamble.hashLow = hash.low;
  preamble.hashHigh = hash.high;
  std::memcpy(front.bytes.data(), &preamble, sizeof preamble);
  return front;
}

// Any sink that has write(data, bytes) and pad(alignment).
template <typename Sink>
void writeEngine(const EngineData& engine, Sink& sink) {
  Front front = makeFront(engine);
  sink.write(front.bytes.data(), front.bytes.size());
  for (const EngineWeight& weight : engine.weights) {
    sink.pad(kAlignment);
    if (weight.data.bytes() > 0) sink.write(weight.data.data(), weight.data.bytes());
  }
  // The last section may be empty; the file's size says where it stands.
  if (engine.weights.empty() || engine.weights.back().data.bytes() == 0) sink.pad(kAlignment);
}

struct MemorySink {
  std::vector<std::byte> bytes;
  void write(const void* data, size_t count) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + count);
  }
  void pad(size_t alignment) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
  }
};

[[noreturn]] void throwDamaged(std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs),
              "the file is damaged; copy it again or build the engine again");
}

Preamble readPreamble(std::span<const std::byte> file) {
  Preamble preamble;
  if (file.size() < sizeof kMagic || std::memcmp(file.data(), kMagic, sizeof kMagic) != 0)
    throw Error(ErrorCode::InvalidModel, "a file that is no engine", "a Carnot engine file",
                "make one with `carnot build model.onnx -o model.engine`");
  if (file.size() < sizeof preamble)
    throwDamaged(fmt::format("a file of {} bytes", file.size()),
                 fmt::format("{} bytes at least", sizeof preamble));
  std::memcpy(&preamble, file.data(), sizeof preamble);
  if (preamble.major != kFormatMajor || preamble.minor > kFormatMinor) {
    std::string producer(preamble.producer, strnlen(preamble.producer, sizeof preamble.producer));
    for (char& c : producer)
      if (c < ' ' || c > '~') c = '?';
    throw Error(ErrorCode::Incompatible,
                fmt::format("engine format {}.{} (written by {})", preamble.major, preamble.minor,
                            producer),
                fmt::format("format {}.0 to {}.{} (this is carnot {})", kFormatMajor, kFormatMajor,
                            kFormatMinor, version()),
                "build the engine again with this version, or run it with the one that wrote it");
  }
  if (preamble.fileBytes != file.size())
    throwDamaged(fmt::format("a file of {} bytes", file.size()),
                 fmt::format("{} bytes", preamble.fileBytes));
  if (preamble.headBytes > file.size() - sizeof preamble)
    throwDamaged("a head longer than the file", "a head inside the file");
  return preamble;
}

void checkWeight(std::span<const std::byte> bytes, const WeightSection& section, size_t index) {
  if (hash128(bytes.data(), bytes.size()) == section.hash) return;
  throwDamaged(fmt::format("weight section {} with other bytes than were written", index),
               fmt::format("bytes that hash to {}", section.hash.hex()));
}

// `keepAlive` owns the bytes of `file`.
std::shared_ptr<const EngineData> parseEngine(std::span<const std::byte> file,
                                              const std::shared_ptr<void>& keepAlive,
                                              bool verifyWeights) {
  Preamble preamble = readPreamble(file);
  std::span<const std::byte> front = file.first(sizeof preamble + preamble.headBytes);
  Hash128 hash = hash128(front.data() + kHashedFrom, front.size() - kHashedFrom);
  if (hash != Hash128{preamble.hashLow, preamble.hashHigh})
    throwDamaged(fmt::format("a head that hashes to {}", hash.hex()),
                 fmt::format("a hash of {}", Hash128{preamble.hashLow, preamble.hashHigh}.hex()));
  std::vector<WeightSection> sections;
  auto engine = std::make_shared<EngineData>(readHead(front.subspan(sizeof preamble), sections));
  std::span<const std::byte> area =
      file.subspan(std::min<uint64_t>(alignUp(front.size()), file.size()));
  for (size_t i = 0; i < sections.size(); ++i) {
    EngineWeight& weight = engine->weights[i];
    const WeightSection& section = sections[i];
    if (section.offset % kAlignment != 0 || section.offset > area.size() ||
        section.bytes > area.size() - section.offset)
      throwDamaged(fmt::format("weight section {} outside the file", i),
                   "sections inside the file");
    for (int64_t dim : weight.dims)
      if (dim < 0) throwDamaged(fmt::format("weight section {} of a negative size", i), "");
    if (dtypeBytes(weight.dtype, elementCount(weight.dims)) != section.bytes)
      throwDamaged(fmt::format("weight section {} of {} bytes", i, section.bytes),
                   "the size that its type and dims give");
    std::span<const std::byte> bytes = area.subspan(section.offset, section.bytes);
    if (verifyWeights) checkWeight(bytes, section, i);
    // Tensors are immutable once published; the mapping is read-only.
    auto* data = const_cast<std::byte*>(bytes.data());
    weight.data = Tensor(weight.dtype, weight.dims, Buffer::borrow(data, bytes.size(), keepAlive));
  }
  validateEngine(*engine);
  return engine;
}

}  // namespace

void saveEngine(const EngineData& engine, const std::string& path) {
  AtomicFile file(path);
  writeEngine(engine, file);
  file.commit();
}

std::vector<std::byte> serializeEngine(const EngineData& engine) {
  MemorySink sink;
  writeEngine(engine, sink);
  return std::move(sink.bytes);
}

bool isEngineFile(const std::string& path) {
  if (path.ends_with(".engine") || path.ends_with(".plan")) return true;
  char start[sizeof kMagic];
  std::ifstream file(path, std::ios::binary);
  return file.read(start, sizeof start) && std::memcmp(start, kMagic, sizeof kMagic) == 0;
}

std::shared_ptr<const EngineData> loadEngine(const std::string& path, bool verifyWeights) {
  std::shared_ptr<MappedFile> file = MappedFile::open(path);
  try {
    return parseEngine(file->bytes(), file, verifyWeights);
  } catch (Error& error) {
    error.within("file " + path);
    throw;
  }
}

std::shared_ptr<const EngineData> deserializeEngine(std::span<const std::byte> bytes,
                                                    bool verifyWeights) {
  std::shared_ptr<Buffer> copy = Buffer::allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(copy->data(), bytes.data(), bytes.size());
  return parseEngine({static_cast<const std::byte*>(copy->data()), bytes.size()}, copy,
                     verifyWeights);
}

}  // namespace carnot
