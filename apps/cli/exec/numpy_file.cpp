#include "cli/exec/numpy_file.h"

#include <fmt/format.h>

namespace carnot::cli::exec {

std::string numpyType(DType type) {
  size_t bytes = dtypeBytes(type, 1);
  char kind = type == DType::Bool                            ? 'b'
              : isComplex(type)                              ? 'c'
              : isInteger(type)                              ? (isSigned(type) ? 'i' : 'u')
              : type == DType::F16 || bytes >= sizeof(float) ? 'f'
                                                             : 'V';
  return fmt::format("{}{}{}", bytes == 1 ? '|' : '<', kind, bytes);
}

std::string numpyHeader(DType type, const std::vector<int64_t>& dims) {
  constexpr size_t kAlignment = 64;
  std::string shape;
  for (int64_t dim : dims) shape += fmt::format("{}, ", dim);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 numpyType(type), shape);
  size_t start = kNumpyMagic.size() + 4;
  text.resize((start + text.size() + kAlignment) / kAlignment * kAlignment - start - 1, ' ');
  text += '\n';
  std::string header(kNumpyMagic);
  header +=
      {'\x01', '\0', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return header + text;
}

}  // namespace carnot::cli::exec
