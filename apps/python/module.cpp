// The native module behind python/carnot: thin, over the public C++ API. Arrays, defaults and the
// faces that people use are in Python.

#include <carnot/memory.h>
#include <carnot/report.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "python/addresses.h"
#include "python/arrays.h"
#include "python/build.h"
#include "python/errors.h"
#include "python/memory.h"
#include "python/network.h"
#include "python/options.h"
#include "python/watch.h"

namespace nb = nanobind;

namespace carnot::python {
namespace {

using Shape = std::vector<int64_t>;
using Shapes = std::map<std::string, Shape>;

// A context and the arrays of the run at hand.
class ArrayContext {
 public:
  explicit ArrayContext(const Engine& engine)
      : context_(engine.createContext()),
        inputs_(engine.inputs().size()),
        states_(engine.states().size()),
        outputs_(engine.outputs().size()) {}

  void setInput(int index, nb::handle array, const std::optional<Shape>& packed) {
    inputs_.at(index) = setInputArray(context_, index, array, packed);
  }
  void setOutput(int index, nb::handle array, bool packed) {
    outputs_.at(index) = setOutputArray(context_, index, array, packed);
  }
  // Memory is made in the run, when the shape is known.
  void findOutput(int index) {
    std::shared_ptr<std::vector<uint64_t>>& memory = found_[index];
    memory = std::make_shared<std::vector<uint64_t>>();
    context_.setOutputAllocator(index, [memory](size_t bytes, std::span<const int64_t>) -> void* {
      memory->resize(bytes / sizeof(uint64_t) + 1);
      return memory->data();
    });
  }
  // Its bytes.
  nb::ndarray<nb::numpy, uint8_t> foundOutput(int index) {
    auto* memory = new std::shared_ptr(found_.at(index));
    nb::capsule owner(memory, [](void* data) noexcept {
      delete static_cast<std::shared_ptr<std::vector<uint64_t>>*>(data);
    });
    int64_t count = 1;
    for (int64_t dim : context_.outputShape(index)) count *= dim;
    const size_t bytes = dtypeBytes(context_.engine().outputs().at(index).dtype, count);
    return nb::ndarray<nb::numpy, uint8_t>((*memory)->data(), {bytes}, owner);
  }
  void setState(int index, nb::handle array) {
    states_.at(index) = setStateArray(context_, index, array);
  }
  // Memory of the device of deviceInfo(). It stays the caller's.
  void setStateAddress(int index, uintptr_t address, const Shape& shape) {
    const TensorInfo& info = context_.engine().states().at(index);
    void* data = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
    context_.setStateShape(index, shape);
    int64_t count = 1;
    for (int64_t dim : shape) count *= dim;
    deviceMemory().checkUsable(data, dtypeBytes(info.dtype, count), "state " + info.name,
                               DeviceMemory::Access::Write);
    context_.setState(index, data);
    states_.at(index) = {};
  }
  Shape outputShape(int index) {
    auto dims = context_.outputShape(index);
    return {dims.begin(), dims.end()};
  }
  void run() {
    nb::gil_scoped_release released;
    context_.run();
  }
  void runWatched(const nb::object& watcher) { python::runWatched(context_, watcher); }
  std::vector<LayerReport> profile(int runs) {
    nb::gil_scoped_release released;
    return profileLayers(context_, runs);
  }
  // Lets go of the arrays of the last run; those of states stay.
  void clear() {
    for (InputArray& array : inputs_) array = {};
    for (OutputArray& array : outputs_) array = {};
    found_.clear();
  }
  nb::tuple memory() {
    Context::Memory memory = context_.memory();
    return nb::make_tuple(memory.arenaBytes, memory.lowerBoundBytes);
  }
  void setProfile(int profile) { context_.setProfile(profile); }

 private:
  Context context_;
  std::vector<InputArray> inputs_;
  std::vector<OutputArray> states_, outputs_;
  std::map<int, std::shared_ptr<std::vector<uint64_t>>> found_;
};

nb::dict infoOf(const Engine& engine) {
  EngineInfo info = engine.info();
  nb::dict out;
  out["producer"] = info.producer;
  out["model"] = info.modelName;
  out["device"] = info.device;
  out["device_kind"] = info.deviceKind;
  out["isa"] = info.isa;
  out["tuned_threads"] = info.tunedThreads;
  out["threads"] = info.threads;
  out["layers"] = info.layers;
  out["weight_bytes"] = info.weightBytes;
  nb::list profiles;
  for (const EngineInfo::Profile& profile : info.profiles) {
    nb::dict ranges;
    for (const EngineInfo::Range& range : profile.ranges)
      ranges[range.symbol.c_str()] = nb::make_tuple(range.min, range.opt, range.max);
    nb::dict entry;
    entry["ranges"] = ranges;
    entry["enforced"] = profile.enforced;
    profiles.append(entry);
  }
  out["profiles"] = profiles;
  return out;
}

void bindReports(nb::module_& m) {
  nb::class_<LayerReport>(m, "LayerReport")
      .def_ro("name", &LayerReport::name)
      .def_ro("operators", &LayerReport::operators)
      .def_ro("kernel", &LayerReport::kernel)
      .def_ro("precision", &LayerReport::precision)
      .def_ro("origins", &LayerReport::origins)
      .def_ro("milliseconds", &LayerReport::milliseconds)
      .def_ro("share", &LayerReport::share)
      .def_ro("flops", &LayerReport::flops)
      .def_ro("bytes", &LayerReport::bytes)
      .def_ro("intensity", &LayerReport::intensity)
      .def_ro("compute_bound", &LayerReport::computeBound);
}

void bindEngine(nb::module_& m) {
  nb::class_<TensorInfo>(m, "TensorInfo")
      .def_ro("name", &TensorInfo::name)
      .def_ro("dims", &TensorInfo::dims)
      .def_ro("depends_on_data", &TensorInfo::dependsOnData)
      .def_prop_ro("dtype", [](const TensorInfo& info) { return dtypeName(info.dtype); })
      .def("__str__", &TensorInfo::toString);
  nb::class_<Engine>(m, "Engine")
      .def("__bool__", [](const Engine& engine) { return static_cast<bool>(engine); })
      .def("save", &Engine::save, nb::arg("path"), nb::call_guard<nb::gil_scoped_release>())
      .def("serialize",
           [](const Engine& engine) {
             std::vector<std::byte> bytes;
             {
               nb::gil_scoped_release released;
               bytes = engine.serialize();
             }
             return nb::bytes(bytes.data(), bytes.size());
           })
      .def_prop_ro("inputs", &Engine::inputs)
      .def_prop_ro("outputs", &Engine::outputs)
      .def_prop_ro("states", &Engine::states)
      .def("input_index", &Engine::inputIndex)
      .def("output_index", &Engine::outputIndex)
      .def("state_index", &Engine::stateIndex)
      .def("info", &infoOf)
      .def("explain", &Engine::explain)
      .def("profile_shapes",
           [](const Engine& engine, int profile) {
             std::map<std::string, std::vector<Shape>> out;
             for (const auto& [name, range] : engine.profileShapes(profile))
               out[name] = {range.min, range.opt, range.max};
             return out;
           })
      .def("layer_information", [](const Engine& engine) { return layerInformation(engine, true); })
      .def("typical_shapes", &Engine::typicalShapes, nb::arg("given") = Shapes());
  nb::class_<ArrayContext>(m, "Context")
      .def(nb::init<const Engine&>())
      .def("set_profile", &ArrayContext::setProfile)
      .def("set_input", &ArrayContext::setInput, nb::arg("index"), nb::arg("array"),
           nb::arg("packed") = nb::none())
      .def("set_output", &ArrayContext::setOutput, nb::arg("index"), nb::arg("array"),
           nb::arg("packed") = false)
      .def("set_state", &ArrayContext::setState)
      .def("set_state_address", &ArrayContext::setStateAddress)
      .def("find_output", &ArrayContext::findOutput)
      .def("found_output", &ArrayContext::foundOutput)
      .def("output_shape", &ArrayContext::outputShape)
      .def("run", &ArrayContext::run)
      .def("run_watched", &ArrayContext::runWatched)
      .def("profile", &ArrayContext::profile)
      .def("clear", &ArrayContext::clear)
      .def("memory", &ArrayContext::memory);
}

Engine loadFrom(nb::handle source, bool verify, int threads) {
  LoadOptions options{verify, threads};
  if (nb::isinstance<nb::str>(source)) {
    std::string path = nb::cast<std::string>(source);
    nb::gil_scoped_release released;
    return Engine::load(path, options);
  }
  nb::bytes bytes = nb::cast<nb::bytes>(source);
  std::span<const std::byte> span(static_cast<const std::byte*>(bytes.data()), bytes.size());
  nb::gil_scoped_release released;
  return Engine::deserialize(span, options);
}

}  // namespace
}  // namespace carnot::python

NB_MODULE(_carnot, m) {
  using namespace carnot::python;
  translateErrors();
  m.def("set_error_type", &setErrorType);
  m.attr("version") = carnot::version();
  bindReports(m);
  bindEngine(m);
  bindBuildOptions(m);
  bindNetwork(m);
  bindAddressContext(m);
  bindMemory(m);
  bindStreams(m);
  m.def("build", &buildEngine, nb::arg("model"), nb::arg("options"), nb::arg("log").none(),
        nb::arg("progress").none(), nb::arg("patches").none() = nb::none());
  m.def("build_phases", &carnot::buildPhases);
  m.def("load", &loadFrom, nb::arg("source"), nb::arg("verify"), nb::arg("threads"));
}
