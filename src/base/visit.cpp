#include "base/visit.h"

#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"

namespace carnot {
namespace {

std::string text(int64_t value) { return fmt::format("{}", value); }
std::string text(bool value) { return value ? "true" : "false"; }
std::string text(DType value) { return std::string(dtypeName(value)); }

// The shortest text that reads back as the same double, and as a double.
std::string text(double value) {
  std::string digits = fmt::format("{}", value);
  bool plain = std::isfinite(value) && digits.find_first_of(".e") == std::string::npos;
  return plain ? digits + ".0" : digits;
}

std::string text(const std::string& value) {
  std::string quoted = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

template <typename T>
std::string text(const std::vector<T>& values) {
  std::string list = "[";
  for (const T& value : values) {
    if (list.size() > 1) list += ", ";
    list += text(value);
  }
  return list + "]";
}

std::string text(const Shape& shape) { return shape.toString(); }

bool equal(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }
bool equal(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) { return equal(x, y); });
}
bool equal(const auto& a, const auto& b) { return a == b; }

uint64_t hashOf(double value) { return std::bit_cast<uint64_t>(value); }
uint64_t hashOf(const std::string& value) { return hash64(value); }
uint64_t hashOf(const Shape& shape) {
  uint64_t result = shape.rank();
  for (const Dim& dim : shape) result = hashCombine(result, dim.hash());
  return result;
}
template <typename T>
uint64_t hashOf(T value) requires(std::is_integral_v<T> || std::is_enum_v<T>) {
  return static_cast<uint64_t>(value);
}
template <typename T>
uint64_t hashOf(const std::vector<T>& values) {
  uint64_t result = values.size();
  for (const T& value : values) result = hashCombine(result, hashOf(value));
  return result;
}

std::string_view kindName(const FieldValue& value) {
  constexpr std::string_view kNames[] = {
      "an integer",         "a number",          "a boolean",         "a string", "a type",
      "a list of integers", "a list of numbers", "a list of strings", "a shape"};
  static_assert(std::size(kNames) == std::variant_size_v<FieldValue>);
  return kNames[value.index()];
}

}  // namespace

std::string fieldToString(const FieldValue& value) {
  return std::visit([](const auto& held) { return text(held); }, value);
}

bool fieldsEqual(const FieldMap& a, const FieldMap& b) {
  if (a.size() != b.size()) return false;
  auto sameField = [](const auto& x, const auto& y) {
    if (x.first != y.first || x.second.index() != y.second.index()) return false;
    return std::visit(
        [&](const auto& held) {
          return equal(held, std::get<std::remove_cvref_t<decltype(held)>>(y.second));
        },
        x.second);
  };
  return std::equal(a.begin(), a.end(), b.begin(), sameField);
}

uint64_t hashFields(const FieldMap& fields) {
  uint64_t result = fields.size();
  for (const auto& [name, value] : fields) {
    result = hashCombine(result, hash64(name));
    result = hashCombine(result, value.index());
    result = hashCombine(result, std::visit([](const auto& held) { return hashOf(held); }, value));
  }
  return result;
}

void throwFieldValue(std::string_view name, int64_t value, int64_t last) {
  throw Error(ErrorCode::InvalidArgument, fmt::format("field {} = {}", name, value),
              fmt::format("0 to {}", last));
}

void throwFieldKind(std::string_view name, const FieldValue& value) {
  throw Error(ErrorCode::InvalidArgument,
              fmt::format("field \"{}\" is {} ({})", name, kindName(value), fieldToString(value)),
              "a value of the field's own kind");
}

void throwUnknownField(std::string_view name) {
  throw Error(ErrorCode::InvalidArgument, fmt::format("unknown field \"{}\"", name));
}

}  // namespace carnot
