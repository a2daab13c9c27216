#include "llm/models/safetensors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/shape.h"
#include "llm/models/json.h"

namespace carnot {

namespace {

constexpr uint64_t kMostHeader = 100'000'000;  // the format's own limit
constexpr size_t kMostRank = 16;

[[noreturn]] void damaged(std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs));
}

std::optional<DType> typeNamed(const std::string& name) {
  static const std::map<std::string, DType> kTypes = {
      {"F64", DType::F64},          {"F32", DType::F32},
      {"F16", DType::F16},          {"BF16", DType::BF16},
      {"F8_E4M3", DType::F8E4M3FN}, {"F8_E5M2", DType::F8E5M2},
      {"I64", DType::I64},          {"I32", DType::I32},
      {"I16", DType::I16},          {"I8", DType::I8},
      {"U64", DType::U64},          {"U32", DType::U32},
      {"U16", DType::U16},          {"U8", DType::U8},
      {"BOOL", DType::Bool}};
  auto found = kTypes.find(name);
  return found == kTypes.end() ? std::nullopt : std::optional(found->second);
}

Json parseJson(const char* first, const char* last, const char* what) {
  Json json = Json::parse(first, last, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) damaged(fmt::format("a {} that is no JSON object", what), "one");
  return json;
}

uint64_t unsignedOf(const Json& json, const char* what) {
  if (!json.is_number_unsigned()) damaged(fmt::format("{} {}", what, shown(json)), "a count");
  return json.get<uint64_t>();
}

const Json& fieldOf(const Json& entry, const char* name) {
  auto field = entry.is_object() ? entry.find(name) : entry.end();
  if (!entry.is_object() || field == entry.end())
    damaged(fmt::format("no {} of a tensor", name), "dtype, shape and data_offsets");
  return *field;
}

std::vector<int64_t> dimsOf(const Json& json) {
  if (!json.is_array() || json.size() > kMostRank)
    damaged("a shape that is no short list", fmt::format("at most {} dims", kMostRank));
  std::vector<int64_t> dims;
  for (const Json& dim : json) {
    const uint64_t value = unsignedOf(dim, "a dim of");
    if (value > uint64_t{INT64_MAX}) damaged("a dim beyond 63 bits", "a smaller one");
    dims.push_back(static_cast<int64_t>(value));
  }
  return dims;
}

// Files of an index lie beside it.
std::set<std::string> filesOf(const std::string& index) {
  const std::string text = readTextFile(index);
  const Json json = parseJson(text.data(), text.data() + text.size(), "file");
  auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object()) damaged("no weight_map", "one, of tensors to files");
  std::set<std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) damaged(fmt::format("tensor {} in no file", tensor), "a file's name");
    const std::string name = file.get<std::string>();
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
      damaged(fmt::format("tensor {} in {}", tensor, name), "a file beside the index");
    files.insert(name);
  }
  return files;
}

void copyElements(const TensorView& from, const TensorView& to) {
  const int64_t count = from.count();
  if (from.dtype == to.dtype) {
    if (count > 0) std::memcpy(to.data, from.data, from.bytes());
  } else if (from.dtype == DType::BF16 && to.dtype == DType::F32) {
    const auto* codes = static_cast<const std::byte*>(from.data);  // at any address
    auto* values = to.as<float>();
    for (int64_t i = 0; i < count; ++i) {
      uint16_t code;
      std::memcpy(&code, codes + 2 * i, sizeof code);
      values[i] = bfloat16ToFloat(code);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) to.storeDouble(i, from.loadDouble(i));
  }
}

}  // namespace

void Safetensors::add(const std::string& path) {
  std::shared_ptr<MappedFile> file = MappedFile::open(path);
  const std::span<const std::byte> bytes = file->bytes();
  uint64_t header = 0;
  if (bytes.size() < sizeof header)
    damaged(fmt::format("{} bytes", bytes.size()), "the 8 bytes that say the header's length");
  for (size_t i = 0; i < sizeof header; ++i)
    header |= uint64_t{std::to_integer<uint8_t>(bytes[i])} << (8 * i);
  const uint64_t behind = bytes.size() - sizeof header;
  if (header > std::min(kMostHeader, behind))
    damaged(fmt::format("a header of {} bytes", header),
            fmt::format("at most {}, which follow", std::min(kMostHeader, behind)));
  const char* text = reinterpret_cast<const char*>(bytes.data()) + sizeof header;
  const Json json = parseJson(text, text + header, "header");
  const std::byte* data = bytes.data() + sizeof header + header;
  const uint64_t dataBytes = behind - header;
  std::map<uint64_t, uint64_t> extents;  // begin to end, of tensors with bytes
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") continue;
    try {
      const Json& type = fieldOf(entry, "dtype");
      const std::optional<DType> dtype =
          typeNamed(type.is_string() ? type.get<std::string>() : std::string());
      if (!dtype)
        throw Error(ErrorCode::Unsupported, fmt::format("type {}", shown(type)),
                    "one of the plain types: F32, BF16, …");
      std::vector<int64_t> dims = dimsOf(fieldOf(entry, "shape"));
      const Json& offsets = fieldOf(entry, "data_offsets");
      if (!offsets.is_array() || offsets.size() != 2) damaged("no two data_offsets", "begin, end");
      const uint64_t begin = unsignedOf(offsets[0], "offset"),
                     end = unsignedOf(offsets[1], "offset");
      if (begin > end || end > dataBytes)
        damaged(fmt::format("bytes {} to {}", begin, end), fmt::format("0 to {}", dataBytes));
      const size_t needs = dtypeBytes(*dtype, elementCount(dims));
      if (needs != end - begin)
        damaged(fmt::format("{} bytes", end - begin),
                fmt::format("{} for [{}] of {}", needs, fmt::join(dims, ", "), dtypeName(*dtype)));
      if (end > begin && !extents.emplace(begin, end).second)
        damaged("the bytes of another tensor", "its own");
      if (!entries_.emplace(name, Entry{file, data + begin, *dtype, std::move(dims)}).second)
        damaged("a name that an earlier file has", "names that differ");
    } catch (Error& error) {
      error.within("tensor " + name);
      throw;
    }
  }
  uint64_t reached = 0;
  for (const auto& [begin, end] : extents) {
    if (begin != reached)
      damaged(fmt::format("data that goes on at byte {} behind {}", begin, reached),
              "tensors one after another");
    reached = end;
  }
  if (reached != dataBytes)
    damaged(fmt::format("{} bytes of data, {} of tensors", dataBytes, reached), "as many");
}

Safetensors Safetensors::openFile(const std::string& path) {
  Safetensors tensors;
  try {
    tensors.add(path);
  } catch (Error& error) {
    error.within("file " + path);
    throw;
  }
  return tensors;
}

Safetensors Safetensors::openFolder(const std::string& folder) {
  const std::string index = folder + "/model.safetensors.index.json";
  std::error_code ignored;
  if (!std::filesystem::exists(index, ignored)) return openFile(folder + "/model.safetensors");
  Safetensors tensors;
  std::set<std::string> files;
  try {
    files = filesOf(index);
  } catch (Error& error) {
    error.within("file " + index);
    throw;
  }
  for (const std::string& file : files) {
    const std::string path = fmt::format("{}/{}", folder, file);
    try {
      tensors.add(path);
    } catch (Error& error) {
      error.within("file " + path);
      throw;
    }
  }
  return tensors;
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

Tensor Safetensors::read(const std::string& name, const std::vector<int64_t>& dims,
                         DType type) const {
  auto found = entries_.find(name);
  if (found == entries_.end())
    throw Error(ErrorCode::InvalidModel, fmt::format("no tensor {}", name),
                "the tensors that the configuration's model has");
  const Entry& entry = found->second;
  if (entry.dims != dims)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("tensor {} of shape [{}]", name, fmt::join(entry.dims, ", ")),
                fmt::format("[{}], as the configuration says", fmt::join(dims, ", ")));
  if (entry.dtype != DType::F32 && entry.dtype != DType::F16 && entry.dtype != DType::BF16 &&
      entry.dtype != DType::F64)
    throw Error(ErrorCode::Unsupported,
                fmt::format("tensor {} of {}", name, dtypeName(entry.dtype)),
                "float32, float16, bfloat16 or float64");
  Tensor tensor(type, dims);
  copyElements({const_cast<std::byte*>(entry.data), entry.dtype, entry.dims}, tensor.view());
  return tensor;
}

}  // namespace carnot
