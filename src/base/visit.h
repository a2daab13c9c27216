#pragma once

#include <carnot/dtype.h>

#include <concepts>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/shape.h"
#include "base/tensor.h"

namespace carnot {

// Plain structs describe themselves once:
//   struct Softmax { int64_t axis = -1; void visit(auto& fields) { fields("axis", axis); } };
// hash, equality, text and bytes derive from that.

// A field as data: what text forms, ONNX attributes and serialization share.
using FieldValue = std::variant<int64_t, double, bool, std::string, DType, std::vector<int64_t>,
                                std::vector<double>, std::vector<std::string>, Shape>;
using FieldMap = std::map<std::string, FieldValue, std::less<>>;

std::string fieldToString(const FieldValue& value);
bool fieldsEqual(const FieldMap& a, const FieldMap& b);
uint64_t hashFields(const FieldMap& fields);

template <typename T>
FieldValue toField(const T& value) {
  if constexpr (std::is_enum_v<T> && !std::is_same_v<T, DType>) {
    return static_cast<int64_t>(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<int64_t>(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(value);
  } else {
    return value;
  }
}

// Throws Error (InvalidArgument) naming the field when the kinds differ.
[[noreturn]] void throwFieldKind(std::string_view name, const FieldValue& value);
// The same when no enumerator has the value.
[[noreturn]] void throwFieldValue(std::string_view name, int64_t value, int64_t last);

// An enumeration that is a field counts from 0 and says where it ends: `lastOf(E)` beside it gives
// its last enumerator.
template <typename E>
concept CountedEnum = requires(E e) {
  { lastOf(e) } -> std::same_as<E>;
};

template <typename T>
void fromField(std::string_view name, const FieldValue& value, T& out) {
  if constexpr (std::is_enum_v<T> && !std::is_same_v<T, DType>) {
    static_assert(CountedEnum<T>);
    if (auto* v = std::get_if<int64_t>(&value)) {
      const auto last = static_cast<int64_t>(lastOf(T{}));
      if (*v < 0 || *v > last) throwFieldValue(name, *v, last);
      return void(out = static_cast<T>(*v));
    }
  } else if constexpr (std::is_same_v<T, bool>) {
    if (auto* v = std::get_if<bool>(&value)) return void(out = *v);
    if (auto* v = std::get_if<int64_t>(&value)) return void(out = *v != 0);
  } else if constexpr (std::is_integral_v<T>) {
    if (auto* v = std::get_if<int64_t>(&value)) return void(out = static_cast<T>(*v));
  } else if constexpr (std::is_floating_point_v<T>) {
    if (auto* v = std::get_if<double>(&value)) return void(out = static_cast<T>(*v));
    if (auto* v = std::get_if<int64_t>(&value)) return void(out = static_cast<T>(*v));
  } else {
    if (auto* v = std::get_if<T>(&value)) return void(out = *v);
    if constexpr (std::is_same_v<T, std::vector<double>>) {
      if (auto* v = std::get_if<std::vector<int64_t>>(&value))
        return void(out = std::vector<double>(v->begin(), v->end()));
    }
  }
  throwFieldKind(name, value);
}

template <typename T>
FieldMap fieldsOf(const T& object) {
  FieldMap fields;
  auto collect = [&](const char* name, auto& value) { fields.emplace(name, toField(value)); };
  const_cast<T&>(object).visit(collect);
  return fields;
}

// Sets the fields that `values` names; others keep their defaults. Unknown names throw.
[[noreturn]] void throwUnknownField(std::string_view name);
template <typename T>
void setFields(T& object, const FieldMap& values) {
  size_t used = 0;
  auto assign = [&](const char* name, auto& field) {
    if (auto found = values.find(name); found != values.end()) {
      fromField(name, found->second, field);
      ++used;
    }
  };
  object.visit(assign);
  if (used == values.size()) return;
  FieldMap known = fieldsOf(object);
  for (const auto& [name, value] : values)
    if (!known.contains(name)) throwUnknownField(name);
}

}  // namespace carnot
