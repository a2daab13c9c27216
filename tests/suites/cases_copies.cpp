#include <fmt/format.h>

#include <algorithm>

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

void addConcats(std::vector<KernelCase>& cases) {
  auto add = [&](std::string name, int axis, std::vector<std::string> inputs) {
    const std::string list = std::string("a,b,c,d,e").substr(0, 2 * inputs.size() - 1);
    cases.push_back({.name = "concat_" + name,
                     .region = fmt::format("({0}) z=Concat{{axis={1}}}({0}) -> z", list, axis),
                     .inputs = std::move(inputs),
                     .supportedBy = {"cpu/copy/concat@portable"}});
  };
  add("rows", 0, {"float32[3, 7]", "float32[batch=2, 7]", "float32[5, 7]"});
  add("columns", 1, {"int64[9, 2]", "int64[9, n=3]", "int64[9, 1]"});
  add("bytes", 1, {"uint8[5, 3, 7]", "const uint8[5, 1, 7]", "uint8[5, 4, 7]"});
  add("halves_last", 2, {"float16[2, 9, 1]", "float16[2, 9, 1]"});
  add("one", 1, {"float32[2, 3]"});
  add("empty_part", 1, {"float32[2, 0, 4]", "float32[2, 3, 4]", "float32[2, n=0, 4]"});
  add("images", 1,
      {"float32[batch=2, 32, 9, 11]", "float32[batch=2, 48, 9, 11]", "float32[batch=2, 5, 9, 11]"});
  add("images_of_odd_channels", 1, {"float32[2, 3, 4, 5]", "float32[2, 5, 4, 5]"});
  add("batches_of_images", 0, {"float32[2, 9, 4, 5]", "float32[1, 9, 4, 5]"});
  add("widths_of_images", 3, {"float32[2, 17, 4, 5]", "float32[2, 17, 4, 1]"});
  add("lines", 2, {"float32[1, 20, 30]", "float32[1, 20, 7]"});
  add("large", 1, {"float32[3, 120, 170]", "float32[3, 1, 170]", "float32[3, 200, 170]"});
  cases.push_back({.name = "concat_twice_the_same",
                   .region = "(a,b) c=Concat{axis=1}(a,b,a) -> c",
                   .inputs = {"float32[2, 16, 3, 4]", "float32[2, 16, 3, 4]"},
                   .supportedBy = {"cpu/copy/concat@portable"}});
}

void addSlices(std::vector<KernelCase>& cases) {
  auto add = [&](std::string name, std::string axes, std::string steps, std::string x,
                 std::string starts, std::string ends) {
    const auto count = std::count(axes.begin(), axes.end(), ',') + 1;
    cases.push_back(
        {.name = "slice_" + name,
         .region = fmt::format("(a,b,c) d=Slice{{axes=[{}], steps=[{}]}}(a,b,c) -> d", axes, steps),
         .inputs = {std::move(x), fmt::format("const int64[{}] = {}", count, starts),
                    fmt::format("const int64[{}] = {}", count, ends)},
         .supportedBy = {"cpu/copy/slice@portable"}});
  };
  add("rows", "0", "1", "float32[9, 7]", "2", "8");
  add("columns", "2", "1", "uint8[3, 5, 11]", "-4", "-1");
  add("channels", "1", "1", "float32[batch=3, 24, 7, 9]", "8", "24");
  add("clamped", "0,1", "1,1", "float64[6, 5]", "-100 2", "3 1000");
  add("every_third", "1", "3", "float32[4, n=20]", "1", "1000");
  add("backwards", "0,2", "-1,-2", "int16[4, 3, 10]", "100 -2", "-100 0");
  add("backwards_rows", "0", "-1", "float32[40, 1000]", "-1", "-1000");
  add("huge_step", "1", "1000000", "float32[3, 8]", "5", "8");
  add("nothing", "1", "1", "float32[3, 8]", "5", "5");
  add("of_nothing", "0", "-1", "float32[batch=0, 8]", "-1", "-100");
  add("large", "1,3", "1,2", "float32[2, 60, 33, 50]", "3 1", "57 50");
}

void addExpands(std::vector<KernelCase>& cases) {
  auto add = [&](std::string name, std::string shape, std::string x) {
    cases.push_back({.name = "expand_" + name,
                     .region = "(a) b=Expand{shape=[" + shape + "]}(a) -> b",
                     .inputs = {std::move(x)},
                     .supportedBy = {"cpu/copy/expand@portable"}});
  };
  add("rows", "7, 33", "float32[33]");
  add("columns", "7, 33", "float32[7, 1]");
  add("middle", "3, 5, 7", "uint8[3, 1, 7]");
  add("both_ends", "3, 5, 7", "float16[1, 5, 1]");
  add("scalar", "300, 401", "int64[]");
  add("scalar_bytes", "5, 3", "bool[1]");
  add("heads", "batch, 4, 3, 9, 16", "float32[batch=2, 4, 1, 9, 16]");
  add("complex", "2, 9", "complex128[2, 1]");
  add("nothing_new", "4, 9", "float32[4, 9]");
  add("to_nothing", "0, 9", "float32[1, 9]");
}

void addGathers(std::vector<KernelCase>& cases) {
  auto add = [&](std::string name, int axis, std::string x, std::string indices) {
    cases.push_back({.name = "gather_" + name,
                     .region = fmt::format("(a,b) c=Gather{{axis={}}}(a,b) -> c", axis),
                     .inputs = {std::move(x), std::move(indices)},
                     .supportedBy = {"cpu/copy/gather@portable"}});
  };
  add("embedding", 0, "const float32[50, 64]", "int64[batch=2, seq=33] in -50 .. 49");
  add("rows_int32", 0, "float32[9, 3]", "int32[40] in -9 .. 8");
  add("columns", 1, "float32[30, 17]", "int64[12] in -17 .. 16");
  add("bytes", 1, "uint8[7, 9]", "int32[2, 3] in -9 .. 8");
  add("middle", 1, "int64[4, 9, 5]", "int64[3, 1] in -9 .. 8");
  add("one", 0, "float32[9, 5, 7]", "const int64[] = -1");
  add("large_slices", 1, "float32[2, 3, 40000]", "int64[2] in -3 .. 2");
  add("many", 0, "float32[1000]", "int64[50000] in -1000 .. 999");
  add("no_indices", 0, "float32[9, 5]", "int64[0]");
  add("empty_slices", 0, "float32[9, 0]", "int64[3]");
}

void addPads(std::vector<KernelCase>& cases) {
  auto add = [&](std::string name, int mode, std::string x, size_t rank, std::string pads,
                 std::vector<std::string> value = {}) {
    std::vector<std::string> inputs{std::move(x),
                                    fmt::format("const int64[{}] = {}", 2 * rank, pads)};
    const bool valued = !value.empty();
    inputs.insert(inputs.end(), value.begin(), value.end());
    cases.push_back({.name = "pad_" + name,
                     .region = valued ? fmt::format("(a,b,c) d=Pad{{mode={}}}(a,b,c) -> d", mode)
                                      : fmt::format("(a,b) c=Pad{{mode={}}}(a,b) -> c", mode),
                     .inputs = std::move(inputs),
                     .supportedBy = {"cpu/copy/pad@portable"}});
  };
  constexpr int kConstant = 0, kReflect = 1, kEdge = 2, kWrap = 3;
  add("image", kConstant, "float32[batch=2, 3, 9, 11]", 4, "0 0 1 2 0 0 3 1");
  add("value", kConstant, "int16[5, 7]", 2, "2 1 0 3", {"const int16[] = -3"});
  add("value_at_run_time", kConstant, "float64[5, 7]", 2, "0 9 1 3", {"float64[]"});
  add("crop", kConstant, "float32[9, 8]", 2, "-2 1 3 -4");
  add("crop_all", kConstant, "uint8[3, 2]", 2, "-2 0 -1 2");
  add("crop_all_and_more", kConstant, "uint8[3, 2]", 2, "-3 0 2 2");
  add("rows", kConstant, "float32[4, 100, 300]", 3, "0 3 0 0 1 0");
  add("nothing", kConstant, "float32[4, 30]", 2, "0 0 0 0");
  add("scalar", kConstant, "float32[]", 0, "");
  add("empty", kConstant, "float32[batch=0, 3]", 2, "1 2 1 0");
  add("reflect", kReflect, "float32[2, 3, 9, 11]", 4, "0 0 2 3 0 0 1 10");
  add("reflect_far", kReflect, "uint8[4, 3]", 2, "9 7 2 8");
  add("reflect_rows", kReflect, "float32[9, 40]", 2, "3 0 2 0");
  add("reflect_cropped", kReflect, "float32[9, 8]", 2, "-3 4 2 -2");
  add("edge", kEdge, "float16[2, 3, 5, 6]", 4, "1 0 2 3 0 2 1 4");
  add("edge_of_one", kEdge, "float32[3, 1]", 2, "0 5 0 5");
  add("wrap", kWrap, "float32[2, 5, 6]", 3, "0 2 9 1 3 20");
}

}  // namespace

std::span<const KernelCase> copyCases() {
  static const std::vector<KernelCase> cases = [] {
    std::vector<KernelCase> all;
    addTransposes(all);
    addConcats(all);
    addSlices(all);
    addExpands(all);
    addGathers(all);
    addPads(all);
    return all;
  }();
  return cases;
}

}  // namespace carnot::test
