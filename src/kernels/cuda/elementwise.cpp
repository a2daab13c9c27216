#include "kernels/cuda/elementwise.h"

#include <fmt/format.h>

#include <algorithm>

#include "codegen/cuda/scalar_source.h"

namespace carnot::cuda {

LaunchShape spread(int64_t elements, const DeviceTraits& device, int waves) {
  const int64_t blocks = (elements + kElementThreads - 1) / kElementThreads;
  const int64_t most = int64_t{std::max(1, device.multiprocessors)} * waves;
  return {.blocks = static_cast<uint32_t>(std::min(blocks, most)), .threads = kElementThreads};
}

std::string indexType(int64_t elements) {
  const bool fits = elements < int64_t{1} << 31;  // and the grid's width behind them
  return fmt::format("typedef {} Index;\n", fits ? "unsigned" : "unsigned long long");
}

const char* unitType(int bytes) {
  switch (bytes) {
    case 1:
      return "unsigned char";
    case 2:
      return "unsigned short";
    case 4:
      return "unsigned";
    case 8:
      return "uint2";
    default:
      return "uint4";
  }
}

std::string elementTypes(DType type) {
  return fmt::format(
      "typedef {} Value;\ntypedef {} Memory;\n"
      "__device__ inline Value load(Memory bits) {{ return {}; }}\n"
      "__device__ inline Memory store(Value value) {{ return {}; }}\n",
      valueType(type), memoryType(type), loaded(type, "bits"), stored(type, "value"));
}

}  // namespace carnot::cuda
