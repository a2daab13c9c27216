#include "frontend/onnx/proto.h"

#include <cstring>

namespace carnot {

namespace {

using protozero::pbf_wire_type;

// Turns protozero's exceptions into ours.
template <typename Fn>
auto decoded(Fn fn) {
  try {
    return fn();
  } catch (const protozero::end_of_buffer_exception&) {
    throw Error(ErrorCode::InvalidModel, "the data ends inside a field", "a whole ONNX model",
                "the file is cut off or no ONNX model: export or download it again");
  } catch (const protozero::exception& cause) {
    throw Error(ErrorCode::InvalidModel, fmt::format("broken protobuf data ({})", cause.what()),
                "an ONNX model", "export or download the file again");
  }
}

bool continues(unsigned char c) { return (c & 0xC0) == 0x80; }

// UTF-8 by RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool isUtf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* end = at + text.size();
  while (at != end) {
    unsigned char first = *at++;
    if (first < 0x80) continue;
    int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    if (first < 0xC2 || first > 0xF4 || end - at < more) return false;
    if ((first == 0xE0 && at[0] < 0xA0) || (first == 0xED && at[0] > 0x9F) ||
        (first == 0xF0 && at[0] < 0x90) || (first == 0xF4 && at[0] > 0x8F))
      return false;
    for (int i = 0; i < more; ++i)
      if (!continues(*at++)) return false;
  }
  return true;
}

}  // namespace

bool ProtoReader::next() {
  return decoded([&] { return reader_.next(); });
}

void ProtoReader::skip() {
  decoded([&] { reader_.skip(); });
}

void ProtoReader::require(pbf_wire_type type) const {
  if (reader_.wire_type() == type) return;
  throw Error(ErrorCode::InvalidModel,
              fmt::format("field {} of wire type {}", reader_.tag(),
                          static_cast<uint32_t>(reader_.wire_type())),
              fmt::format("wire type {}", static_cast<uint32_t>(type)),
              "the file is no ONNX model, or damaged");
}

int64_t ProtoReader::integer() {
  require(pbf_wire_type::varint);
  return decoded([&] { return reader_.get_int64(); });
}

float ProtoReader::real() {
  require(pbf_wire_type::fixed32);
  return decoded([&] { return reader_.get_float(); });
}

std::string_view ProtoReader::bytes() {
  require(pbf_wire_type::length_delimited);
  auto view = decoded([&] { return reader_.get_view(); });
  return {view.data(), view.size()};
}

std::string_view ProtoReader::text() {
  std::string_view view = bytes();
  if (!isUtf8(view))
    throw Error(ErrorCode::InvalidModel, fmt::format("field {} is not UTF-8", field()),
                "text in UTF-8", "the file is no ONNX model, or damaged");
  return view;
}

void ProtoReader::integers(std::vector<int64_t>& out) {
  if (reader_.wire_type() != pbf_wire_type::length_delimited) return out.push_back(integer());
  decoded([&] {
    for (int64_t value : reader_.get_packed_int64()) out.push_back(value);
  });
}

template <typename T>
void ProtoReader::fixed(pbf_wire_type single, std::vector<T>& out) {
  if (reader_.wire_type() == single) {
    if constexpr (sizeof(T) == 4)
      out.push_back(decoded([&] { return reader_.get_float(); }));
    else
      out.push_back(decoded([&] { return reader_.get_double(); }));
    return;
  }
  std::string_view packed = bytes();
  if (packed.size() % sizeof(T) != 0)
    throw Error(ErrorCode::InvalidModel,
                fmt::format("{} bytes in field {}", packed.size(), field()),
                fmt::format("a multiple of {}", sizeof(T)));
  size_t before = out.size();
  out.resize(before + packed.size() / sizeof(T));
  if (!packed.empty()) std::memcpy(out.data() + before, packed.data(), packed.size());
}

void ProtoReader::reals(std::vector<float>& out) { fixed(pbf_wire_type::fixed32, out); }
void ProtoReader::doubles(std::vector<double>& out) { fixed(pbf_wire_type::fixed64, out); }

}  // namespace carnot
