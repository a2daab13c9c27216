#include "python/network.h"

#include <carnot/llm.h>
#include <carnot/network.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <vector>

namespace nb = nanobind;

namespace carnot::python {
namespace {

std::span<const std::byte> bytesOf(const nb::bytes& model) {
  return {static_cast<const std::byte*>(model.data()), model.size()};
}

Network parseModel(const nb::bytes& model, const std::string& folder) {
  std::span<const std::byte> bytes = bytesOf(model);
  nb::gil_scoped_release released;
  return Network::parse(bytes, folder);
}

std::vector<ParseIssue> checkModel(const nb::bytes& model, const std::string& folder) {
  std::span<const std::byte> bytes = bytesOf(model);
  nb::gil_scoped_release released;
  return Network::check(bytes, folder);
}

// (type, dims, bytes), or None when the tensor is no constant.
nb::object constantOf(const Network& network, std::string_view tensor) {
  std::optional<Network::Constant> constant = network.constant(tensor);
  if (!constant) return nb::none();
  return nb::make_tuple(dtypeName(constant->dtype), constant->dims,
                        nb::bytes(constant->data.data(), constant->data.size()));
}

DType typeNamed(std::string_view name) {
  DType type;
  if (!parseDType(name, type))
    throw Error(ErrorCode::InvalidArgument, "a type named " + std::string(name), "an element type");
  return type;
}

void setType(Network& network, std::string_view tensor, std::string_view name) {
  network.setDType(tensor, typeNamed(name));
}

Network convert(const std::string& folder, std::string_view type, std::string_view cacheType,
                int64_t blockSize) {
  const CheckpointOptions options{typeNamed(type), typeNamed(cacheType), blockSize};
  nb::gil_scoped_release released;
  return convertCheckpoint(folder, options);
}

}  // namespace

void bindNetwork(nb::module_& m) {
  nb::class_<ParseIssue>(m, "ParseIssue")
      .def_prop_ro("code", [](const ParseIssue& issue) { return errorCodeName(issue.code); })
      .def_ro("text", &ParseIssue::text)
      .def_ro("node", &ParseIssue::node)
      .def_ro("operator_type", &ParseIssue::operatorType)
      .def_ro("node_index", &ParseIssue::nodeIndex);
  nb::class_<NetworkLayer>(m, "NetworkLayer")
      .def_ro("name", &NetworkLayer::name)
      .def_ro("type", &NetworkLayer::type)
      .def_ro("inputs", &NetworkLayer::inputs)
      .def_ro("outputs", &NetworkLayer::outputs)
      .def_ro("attributes", &NetworkLayer::attributes)
      .def_ro("origins", &NetworkLayer::origins);
  nb::class_<Network>(m, "Network")
      .def(nb::init<>())
      .def_static("parse", &parseModel, nb::arg("model"), nb::arg("folder") = "")
      .def_static(
          "parse_file", [](const std::string& path) { return Network::parse(path); },
          nb::arg("path"), nb::call_guard<nb::gil_scoped_release>())
      .def_static("check", &checkModel, nb::arg("model"), nb::arg("folder") = "")
      .def_prop_rw("name", &Network::name, &Network::setName)
      .def("inputs", &Network::inputs)
      .def("outputs", &Network::outputs)
      .def("states", &Network::states)
      .def("layer_count", &Network::layerCount)
      .def("layer", &Network::layer)
      .def("tensor", &Network::tensor)
      .def("constant", &constantOf)
      .def("mark_output", &Network::markOutput)
      .def("unmark_output", &Network::unmarkOutput)
      .def("rename", &Network::rename)
      .def("set_input_shape",
           [](Network& network, std::string_view input, const std::vector<int64_t>& dims) {
             network.setInputShape(input, dims);
           })
      .def("set_dtype", &setType);
  m.def("convert_checkpoint", &convert, nb::arg("folder"), nb::arg("dtype"), nb::arg("cache_dtype"),
        nb::arg("block_size"));
  m.def("merge_timings", &mergeTimings, nb::arg("first"), nb::arg("second"));
}

}  // namespace carnot::python
