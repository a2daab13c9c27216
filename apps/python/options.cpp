#include "python/options.h"

#include <fmt/format.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <map>
#include <vector>

namespace nb = nanobind;

namespace carnot::python {
namespace {

using Options = PythonBuildOptions;
using Shapes = std::vector<std::vector<int64_t>>;  // min, opt, max

void setProfiles(Options& options, const std::vector<std::map<std::string, Shapes>>& profiles) {
  options.profiles.clear();
  for (const auto& ranges : profiles) {
    Profile& profile = options.profiles.emplace_back();
    for (const auto& [name, shapes] : ranges)
      profile.inputs[name] = {shapes.at(0), shapes.at(1), shapes.at(2)};
  }
}

DType typeNamed(const std::string& name) {
  DType type;
  if (!parseDType(name, type))
    throw Error(ErrorCode::InvalidArgument, fmt::format("a type named {}", name),
                "an element type, such as float16");
  return type;
}

void setPermits(Options& options, const std::vector<std::string>& names) {
  options.permits.clear();
  for (const std::string& name : names) options.permits.insert(typeNamed(name));
}

// By layer: what it computes in and what it gives; "" asks nothing.
void setLayerPrecisions(Options& options,
                        const std::map<std::string, std::pair<std::string, std::string>>& layers) {
  options.layerPrecisions.clear();
  for (const auto& [name, types] : layers) {
    LayerPrecision& layer = options.layerPrecisions[name];
    if (!types.first.empty()) layer.compute = typeNamed(types.first);
    if (!types.second.empty()) layer.output = typeNamed(types.second);
  }
}

}  // namespace

void bindBuildOptions(nb::module_& m) {
  nb::class_<Options>(m, "BuildOptions")
      .def(nb::init<>())
      .def_prop_rw(
          "profiles", [](const Options& options) { return options.profiles.size(); }, &setProfiles)
      .def_prop_rw(
          "permits", [](const Options& options) { return options.permits.size(); }, &setPermits)
      .def_rw("tf32", &Options::tf32)
      .def_rw("round_all", &Options::roundAll)
      .def_prop_rw(
          "layer_precisions", [](const Options& options) { return options.layerPrecisions.size(); },
          &setLayerPrecisions)
      .def_prop_rw(
          "precision_constraints",
          [](const Options& options) { return static_cast<int>(options.precisionConstraints); },
          [](Options& options, int constraints) {
            options.precisionConstraints = static_cast<PrecisionConstraints>(constraints);
          })
      .def_rw("device", &Options::device)
      .def_rw("threads", &Options::threads)
      .def_rw("isa", &Options::isa)
      .def_rw("optimization_level", &Options::optimizationLevel)
      .def_rw("budget", &Options::budgetSeconds)
      .def_rw("timing_cache", &Options::timingCache)
      .def_rw("timings", &Options::timingsText, nb::arg().none())
      .def_rw("workspace_bytes", &Options::workspaceBytes)
      .def_rw("dump_ir", &Options::dumpIr)
      .def_rw("stop_after", &Options::stopAfter)
      .def_rw("skip_passes", &Options::skipPasses)
      .def_rw("fusion", &Options::fusion)
      .def_rw("without_kernels", &Options::withoutKernels)
      .def_rw("patch_limit", &Options::patchLimit)
      .def_prop_rw(
          "log_level", [](const Options& options) { return static_cast<int>(options.logLevel); },
          [](Options& options, int level) { options.logLevel = static_cast<Severity>(level); });
}

}  // namespace carnot::python
