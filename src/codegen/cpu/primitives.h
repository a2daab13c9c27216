#pragma once

// Inside the loop's interpreter: one primitive at a time over columns of elements.

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/tensor.h"
#include "ops/scalar.h"

namespace carnot {

// One value of a program over a block: float, double or int64 by its type.
struct Column {
  void* data;
  DType type;
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Calls fn<T>() with the type that holds elements of `type`.
template <typename Fn>
void withHeld(DType type, Fn&& fn) {
  if (type == DType::F64) return fn.template operator()<double>();
  if (isFloat(type)) return fn.template operator()<float>();
  fn.template operator()<int64_t>();
}

template <typename T>
T loadOne(const char* from, DType type) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == DType::F32) {
      float value;
      std::memcpy(&value, from, sizeof value);
      return value;
    }
  }
  const TensorView view{const_cast<char*>(from), type, {}};
  if constexpr (std::is_integral_v<T>)
    return type == DType::Bool ? view.loadBool(0) : view.loadInt(0);
  else
    return static_cast<T>(view.loadDouble(0));
}

template <typename T>
void storeOne(char* to, DType type, T value) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == DType::F32) {
      std::memcpy(to, &value, sizeof value);
      return;
    }
  }
  const TensorView view{to, type, {}};
  if constexpr (std::is_integral_v<T>)
    view.storeInt(0, value);
  else
    view.storeRounded(0, value);  // the program rounds
}

// One primitive over the first `count` elements; `in` by argument.
void runPrimitive(const ScalarNode& node, Column out, const std::array<Column, 3>& in,
                  int64_t count);

}  // namespace carnot
