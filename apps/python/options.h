#pragma once

#include <carnot/builder.h>
#include <nanobind/nanobind.h>

#include <optional>
#include <string>

namespace carnot::python {

// BuildOptions as Python sets them: "timings" is the text of a timing cache, or None for a file.
struct PythonBuildOptions : BuildOptions {
  std::optional<std::string> timingsText;
};

void bindBuildOptions(nanobind::module_& m);

}  // namespace carnot::python
