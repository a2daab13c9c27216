#pragma once

// The loop of strassen_loops.h over vectors of kLanes floats. Included once by each file that
// compiles it for its instruction set; everything has internal linkage.

#include "kernels/cpu/strassen_loops.h"

namespace carnot {
namespace {

struct Lanes {
  typedef float Value __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
};
struct Lane {
  typedef float Value;
};

template <typename Width>
void sumAt(const StrassenRow& row, int64_t i) {
  using Value = typename Width::Value;
  auto in = [i](const float* x) -> Value {
    return x ? *reinterpret_cast<const typename Width::Value*>(x + i) : Value{};
  };
  auto put = [i](float* x, const Value& value) {
    *reinterpret_cast<typename Width::Value*>(x + i) = value;
  };
  const Value a11 = in(row.a11), a21 = in(row.a21);
  const Value s1 = a21 + in(row.a22), s2 = s1 - a11;
  put(row.s1, s1);
  put(row.s2, s2);
  put(row.s3, a11 - a21);
  put(row.s4, in(row.a12) - s2);
}

void strassenRow(const StrassenRow& row) {
  int64_t i = 0;
  for (; i + kLanes <= row.count; i += kLanes) sumAt<Lanes>(row, i);
  for (; i < row.count; ++i) sumAt<Lane>(row, i);
}

}  // namespace
}  // namespace carnot
