#include <fmt/format.h>

#include "kernel_cases.h"

namespace carnot::test {

std::span<const KernelCase> resizeCases() {
  static const std::vector<KernelCase> cases = [] {
    std::vector<KernelCase> all;
    // Numbers of the enumerations in ops/resize.h.
    auto add = [&](std::string name, std::string attributes, std::string x, std::string shape) {
      all.push_back(
          {.name = "resize_" + name,
           .region = fmt::format("(a) b=Resize{{{}, shape=[{}]}}(a) -> b", attributes, shape),
           .inputs = {std::move(x)},
           .supportedBy = {"cpu/resize/fast@portable"}});
    };
    const std::string nearest = "mode=0, coordinates=2, nearest=2", linear = "mode=1";
    add("twice", nearest, "float32[batch=2, 19, 5, 37]", "batch, 19, 10, 74");
    add("three_and_four_times", nearest, "float32[1, 3, 5, 37]", "1, 3, 15, 148");
    add("five_times", nearest, "float32[1, 3, 2, 7]", "1, 3, 4, 35");
    add("thrice_a_line", nearest, "float32[2, 18, length=35]", "2, 18, 3*length");
    add("nearest_odd", "mode=0", "float32[1, 17, 7, 9]", "1, 17, 10, 13");
    add("nearest_smaller", "mode=0, coordinates=3, nearest=1", "float32[1, 17, 7, 9]",
        "1, 17, 3, 4");
    add("nearest_by_scale", "mode=0, coordinates=4, nearest=3, scales=[1,1,1.5,2.3]",
        "float32[1, 5, 7, 9]", "1, 5, 10, 20");
    add("same", nearest, "float32[1, 5, 7, 9]", "1, 5, 7, 9");
    add("nearest_large", nearest, "float32[2, 40, 26, 26]", "2, 40, 52, 52");
    add("linear_twice", linear, "float32[batch=2, 19, 5, 37]", "batch, 19, 10, 74");
    add("linear_corners", linear + ", coordinates=3", "float32[1, 17, 7, 9]", "1, 17, 10, 13");
    add("linear_smaller", linear + ", coordinates=2", "float32[1, 17, 7, 9]", "1, 17, 3, 1");
    add("linear_lines_alone", linear, "float32[1, 17, 7, 9]", "1, 17, 15, 9");
    add("linear_columns_alone", linear, "float32[1, 17, 7, 9]", "1, 17, 7, 20");
    add("linear_same", linear, "float32[1, 17, 7, 9]", "1, 17, 7, 9");
    add("linear_line", linear, "float32[2, 18, 35]", "2, 18, 81");
    add("linear_from_one", linear, "float32[1, 33, 1, 1]", "1, 33, 6, 5");
    add("linear_exclude_outside", linear + ", excludeOutside=true", "float32[1, 4, 5, 6]",
        "1, 4, 9, 11");
    add("linear_large", linear, "float32[2, 21, 40, 40]", "2, 21, 80, 80");
    add("empty", linear, "float32[batch=0, 3, 4, 4]", "batch, 3, 8, 8");
    return all;
  }();
  return cases;
}

}  // namespace carnot::test
