#include <carnot/contents.h>
#include <fmt/format.h>

#include <random>

#include "base/tensor.h"

namespace carnot {

void fillMadeUp(DType type, int64_t count, void* data, uint32_t seed) {
  int64_t dims[] = {count};
  TensorView view{data, type, dims};
  std::mt19937 random(seed);
  auto real = [&] { return static_cast<double>(random() >> 8) * 0x1p-23 - 1; };
  for (int64_t i = 0; i < count; ++i) {
    if (isComplex(type)) {
      double re = real();
      view.storeComplex(i, {re, real()});
    } else if (isFloat(type)) {
      view.storeDouble(i, real());
    } else {
      view.storeInt(i, 1);
    }
  }
}

std::string elementText(DType type, const void* data, int64_t index) {
  int64_t dims[] = {index + 1};
  TensorView view{const_cast<void*>(data), type, dims};  // which only reads
  switch (type) {
    case DType::F64:
      return fmt::format("{}", view.loadDouble(index));
    case DType::U64:
      return fmt::format("{}", static_cast<uint64_t>(view.loadInt(index)));
    case DType::C64:
    case DType::C128: {
      std::complex<double> value = view.loadComplex(index);
      if (type == DType::C128) return fmt::format("{}{:+}i", value.real(), value.imag());
      return fmt::format("{}{:+}i", static_cast<float>(value.real()),
                         static_cast<float>(value.imag()));
    }
    default:
      // A float holds every value of the shorter types.
      return isFloat(type) ? fmt::format("{}", static_cast<float>(view.loadDouble(index)))
                           : fmt::format("{}", view.loadInt(index));
  }
}

}  // namespace carnot
