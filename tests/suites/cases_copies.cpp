#include <fmt/format.h>

#include "kernel_cases.h"

namespace carnot::test {
namespace {

void addTransposes(std::vector<KernelCase>& cases) {
  auto add = [&](std::string name, std::string perm, std::string input) {
    cases.push_back({.name = "transpose_" + name,
                     .region = "(a) b=Transpose{perm=[" + perm + "]}(a) -> b",
                     .inputs = {std::move(input)},
                     .supportedBy = {"cpu/copy/transpose@portable"}});
  };
  for (const char* type : {"uint8", "bool", "float16", "float32", "int64", "complex128"}) {
    add(fmt::format("matrix_{}", type), "1,0", fmt::format("{}[37, 83]", type));
    add(fmt::format("heads_{}", type), "0,2,1,3", fmt::format("{}[2, 5, 3, 7]", type));
  }
  add("large", "1,0", "float32[300, 517]");
  add("wide", "1,0", "float32[3, 5000]");
  add("tall", "1,0", "float32[5000, 3]");
  add("bytes_large", "0,2,1", "uint8[3, 150, 201]");
  add("halves_large", "0,2,1", "bfloat16[3, 150, 201]");
  add("heads", "0,2,1,3", "float32[batch=2, seq=70, 12, 64]");
  add("keys", "0,2,3,1", "float32[batch=2, seq=33, 4, 24]");
  add("to_channels_last", "0,2,3,1", "float32[2, 3, 20, height=30]");
  add("from_channels_last", "0,3,1,2", "float32[2, 20, 30, 3]");
  add("depth_to_space", "0,3,4,1,5,2", "float32[1, 2, 2, 5, 9, 11]");
  add("reversed", "3,2,1,0", "int32[5, 6, 7, 9]");
  add("pairs_as_one", "1,0,2", "float32[41, 35, 2]");
  add("of_all_that_moves_nothing", "0,1,2", "float32[4, 50, 333]");
  add("of_ones", "2,0,1", "float32[1, 6, 1]");
  add("vector", "0", "float32[9]");
  add("scalar", "", "float32[]");
  add("empty", "1,0,2", "float32[batch=0, 3, 4]");
}

}  // namespace

std::span<const KernelCase> copyCases() {
  static const std::vector<KernelCase> cases = [] {
    std::vector<KernelCase> all;
    addTransposes(all);
    return all;
  }();
  return cases;
}

}  // namespace carnot::test
