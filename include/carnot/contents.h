#pragma once

#include <carnot/dtype.h>

#include <cstdint>
#include <string>

namespace carnot {

// Made-up contents for dense row-major memory of `count` elements: floats (and both parts of
// complex numbers) evenly from [-1, 1), integers and bool 1, which indices and masks can stand. One
// seed gives the same contents everywhere.
void fillMadeUp(DType type, int64_t count, void* data, uint32_t seed);

// Element `index` of such memory as the shortest text that reads back as the same value: "0.5",
// "-3", "nan", "1+2i"; bool as 0 or 1.
std::string elementText(DType type, const void* data, int64_t index);

}  // namespace carnot
