#include "builder/network.h"

#include <carnot/names.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "ops/cast.h"

namespace carnot {

namespace {

using Port = Network::State::Port;

[[noreturn]] void invalid(std::string has, std::string needs, std::string remedy = {}) {
  throw Error(ErrorCode::InvalidArgument, std::move(has), std::move(needs), std::move(remedy));
}

Value* find(const Graph& graph, std::string_view tensor) {
  for (const auto& value : graph.values())
    if (value->name == tensor) return value.get();
  return nullptr;
}

std::vector<std::string> dimTexts(const Shape& shape) {
  std::vector<std::string> texts;
  for (const Dim& dim : shape) texts.push_back(dim.toString());
  return texts;
}

TensorInfo describe(const Graph& graph, const Port& port) {
  return {port.name, port.dtype, dimTexts(find(graph, port.tensor)->type.shape)};
}

// Throws with the names that there are.
template <typename Ports>
auto& portNamed(Ports& ports, std::string_view name, std::string_view what) {
  auto found = std::ranges::find(ports, name, &Port::name);
  if (found != ports.end()) return *found;
  std::vector<std::string> names;
  for (const Port& port : ports) names.push_back(port.name);
  std::string near = closest(name, names);
  invalid(fmt::format("no {} named {}", what, name),
          fmt::format("one of: {}", fmt::join(names, ", ")),
          near.empty() ? "" : fmt::format("did you mean {}?", near));
}

Port& anyPort(Network::State& state, std::string_view name) {
  auto found = std::ranges::find(state.inputs, name, &Port::name);
  return found != state.inputs.end() ? *found : portNamed(state.outputs, name, "input or output");
}

std::unique_ptr<Network::State> stateOf(Graph graph) {
  auto state = std::make_unique<Network::State>();
  state->graph = std::move(graph);
  state->name = state->graph.name;
  for (const Value* input : state->graph.inputs)
    state->inputs.push_back({input->name, input->name, input->type.dtype});
  for (size_t i = 0; i < state->graph.outputs.size(); ++i) {
    const Value& output = *state->graph.outputs[i];
    state->outputs.push_back({output.name, state->graph.outputNames[i], output.type.dtype});
  }
  return state;
}

std::unique_ptr<Network::State> import(OnnxModel model) {
  auto owned = std::make_shared<const OnnxModel>(std::move(model));
  auto state = stateOf(importOnnx(*owned));
  state->model = std::move(owned);
  return state;
}

Value* converted(Graph& graph, Value* value, DType to, const std::string& name, Node* before) {
  Node* cast = graph.addNode(name, Operator::of(Cast{to}), {value}, 1, before);
  cast->origins = {name};
  return cast->outputs[0];
}

void applyInput(Graph& graph, size_t index, const Port& port) {
  Value* value = graph.inputs[index];
  if (port.dtype == value->type.dtype) {
    value->name = port.name;
    return;
  }
  const DType inner = value->type.dtype;
  Value* outer = graph.addInput(port.name, {port.dtype, value->type.shape});
  outer->name = port.name;
  graph.inputs.pop_back();
  graph.inputs[index] = outer;
  Node* first = graph.nodes().empty() ? nullptr : graph.nodes().front().get();
  graph.replaceUses(value, converted(graph, outer, inner,
                                     port.name + " as " + std::string(dtypeName(inner)), first));
}

}  // namespace

OnnxModel ownedModel(std::span<const std::byte> bytes, const std::string& folder) {
  auto copy = Buffer::allocate(std::max<size_t>(bytes.size(), 1));
  std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(copy->data()));
  std::span<const std::byte> span(static_cast<const std::byte*>(copy->data()), bytes.size());
  return readOnnxBytes(span, copy, folder);
}

Network networkOf(Graph graph) { return Network(stateOf(std::move(graph))); }

Graph networkGraph(const Network& network) {
  const Network::State& state = network.state();
  if (state.outputs.empty())
    invalid("a network without outputs", "one or more",
            "parse a model, or mark tensors as outputs");
  Graph graph = state.graph.clone();
  graph.name = state.name;
  graph.outputs.clear();
  graph.outputNames.clear();
  for (const Port& port : state.outputs) graph.outputs.push_back(find(graph, port.tensor));
  for (size_t i = 0; i < state.inputs.size(); ++i) applyInput(graph, i, state.inputs[i]);
  for (size_t i = 0; i < state.outputs.size(); ++i) {
    const Port& port = state.outputs[i];
    Value*& output = graph.outputs[i];
    if (output->type.dtype != port.dtype)
      output = converted(graph, output, port.dtype,
                         fmt::format("{} as {}", port.name, dtypeName(port.dtype)), nullptr);
    graph.outputNames.push_back(port.name);
  }
  graph.eraseUnusedValues();
  return graph;
}

Network::Network() : state_(std::make_unique<State>()) {}
Network::Network(std::unique_ptr<State> state) : state_(std::move(state)) {}
Network::Network(const Network& other)
    : state_(std::make_unique<State>(State{other.state_->model, other.state_->importing,
                                           other.state_->graph.clone(), other.state_->name,
                                           other.state_->inputs, other.state_->outputs})) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(const Network& other) { return *this = Network(other); }
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

Network Network::parse(const std::string& path) {
  OnnxModel model = readOnnxFile(path);
  try {
    return Network(import(std::move(model)));
  } catch (Error& error) {
    error.within("file " + path);
    throw;
  }
}

Network Network::parse(std::span<const std::byte> model, const std::string& folder) {
  return Network(import(ownedModel(model, folder)));
}

std::vector<ParseIssue> Network::check(std::span<const std::byte> model,
                                       const std::string& folder) {
  std::vector<ParseIssue> issues;
  try {
    for (OnnxIssue& issue : checkOnnx(readOnnxBytes(model, nullptr, folder)))
      issues.push_back({issue.error.code(), issue.error.what(), std::move(issue.node),
                        std::move(issue.operatorType), issue.nodeIndex});
  } catch (const Error& error) {
    issues.push_back({error.code(), error.what(), {}, {}, -1});
  }
  return issues;
}

const std::string& Network::name() const { return state_->name; }
void Network::setName(std::string name) { state_->name = std::move(name); }

std::vector<TensorInfo> Network::inputs() const {
  std::vector<TensorInfo> infos;
  for (const Port& port : state_->inputs) infos.push_back(describe(state_->graph, port));
  return infos;
}

std::vector<TensorInfo> Network::outputs() const {
  std::vector<TensorInfo> infos;
  for (const Port& port : state_->outputs) infos.push_back(describe(state_->graph, port));
  return infos;
}

std::vector<TensorInfo> Network::states() const {
  std::vector<TensorInfo> infos;
  for (const StateOperand& state : state_->graph.states)
    infos.push_back(
        {state.before->name, state.before->type.dtype, dimTexts(state.before->type.shape)});
  return infos;
}

size_t Network::layerCount() const { return state_->graph.nodes().size(); }

NetworkLayer Network::layer(size_t index) const {
  const Graph::NodeList& nodes = state_->graph.nodes();
  if (index >= nodes.size())
    invalid(fmt::format("layer {}", index), fmt::format("0 to {}", nodes.size() - 1));
  const Node& node = **std::next(nodes.begin(), static_cast<std::ptrdiff_t>(index));
  NetworkLayer layer{node.name, std::string(node.opName()), {}, {}, {}, node.origins};
  for (const Value* input : node.inputs) layer.inputs.push_back(input ? input->name : "");
  for (const Value* output : node.outputs) layer.outputs.push_back(output->name);
  for (const auto& [name, value] : node.op.fields())
    layer.attributes.emplace_back(name, fieldToString(value));
  return layer;
}

std::optional<TensorInfo> Network::tensor(std::string_view name) const {
  const Value* value = find(state_->graph, name);
  if (!value) return std::nullopt;
  return TensorInfo{value->name, value->type.dtype, dimTexts(value->type.shape)};
}

std::optional<Network::Constant> Network::constant(std::string_view tensor) const {
  const Value* value = find(state_->graph, tensor);
  if (!value || !value->constant) return std::nullopt;
  const Tensor& data = *value->constant;
  return Constant{data.dtype(),
                  {data.dims().begin(), data.dims().end()},
                  {static_cast<const std::byte*>(data.data()), data.bytes()}};
}

void Network::markOutput(std::string_view tensor) {
  const Value* value = find(state_->graph, tensor);
  if (!value) invalid(fmt::format("no tensor named {}", tensor), "a tensor of the network");
  if (std::ranges::find(state_->outputs, tensor, &Port::tensor) != state_->outputs.end())
    invalid(fmt::format("tensor {} is an output already", tensor), "one that is none");
  if (std::ranges::find(state_->outputs, tensor, &Port::name) != state_->outputs.end())
    invalid(fmt::format("an output is called {} already", tensor), "names that differ",
            "rename that output");
  state_->outputs.push_back({value->name, value->name, value->type.dtype});
}

void Network::unmarkOutput(std::string_view output) {
  const Port& port = portNamed(state_->outputs, output, "output");
  std::erase_if(state_->outputs, [&](const Port& other) { return &other == &port; });
}

void Network::rename(std::string_view tensor, std::string name) {
  Port& port = anyPort(*state_, tensor);
  for (const auto* ports : {&state_->inputs, &state_->outputs})
    for (const Port& other : *ports)
      if (&other != &port && other.name == name)
        invalid(fmt::format("{} is the name of another input or output", name), "a new name");
  port.name = std::move(name);
}

void Network::setInputShape(std::string_view input, std::span<const int64_t> dims) {
  const Port& port = portNamed(state_->inputs, input, "input");
  const Value& value = *find(state_->graph, port.tensor);
  const Shape& declared = value.type.shape;
  if (dims.size() != declared.rank())
    invalid(fmt::format("{} dims for input {}", dims.size(), input),
            fmt::format("{}, as in {}", declared.rank(), declared.toString()));
  Shape shape;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    if (dims[axis] < -1)
      invalid(fmt::format("{} in axis {} of input {}", dims[axis], axis, input),
              "0 or more, or -1 for a dynamic dim");
    if (dims[axis] >= 0)
      shape.push(dims[axis]);
    else if (declared[axis].isConstant())
      shape.push(Dim::symbol(fmt::format("{}_{}", port.tensor, axis)));
    else
      shape.push(declared[axis]);
  }
  if (!state_->model)
    throw Error(ErrorCode::Unsupported, "a network of no ONNX model",
                "one, which is read anew with other shapes", "give a profile when it is built");
  ImportOptions importing = state_->importing;
  importing.inputShapes.insert_or_assign(port.tensor, std::move(shape));
  state_->graph = importOnnx(*state_->model, importing);
  state_->importing = std::move(importing);
}

void Network::setDType(std::string_view tensor, DType dtype) {
  anyPort(*state_, tensor).dtype = dtype;
}

}  // namespace carnot
