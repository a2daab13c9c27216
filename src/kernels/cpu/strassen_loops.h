#pragma once

#include <cstdint>

namespace carnot {

// A row of each quarter of A (a21 and a22 null: zeros), `count` floats: the sums that Strassen's
// scheme in Winograd's form multiplies. Compiled for one instruction set.
//   s1 = a21 + a22, s2 = s1 - a11, s3 = a11 - a21, s4 = a12 - s2
struct StrassenRow {
  const float *a11, *a12, *a21, *a22;
  float *s1, *s2, *s3, *s4;
  int64_t count;
};

void strassenRowAvx2(const StrassenRow& row);
void strassenRowAvx512(const StrassenRow& row);

}  // namespace carnot
