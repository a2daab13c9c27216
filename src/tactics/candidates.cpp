#include <carnot/names.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "tactics/tactics.h"

namespace carnot {

namespace {

bool hasTf32(const DeviceTraits& device) { return device.computeCapability >= 80; }

// Whether one of the ONNX nodes that the node came from is to multiply in full.
bool mustNotRound(const Node& node, const TacticOptions& options) {
  return std::ranges::any_of(
      node.origins, [&](const std::string& origin) { return options.fullNodes.contains(origin); });
}

}  // namespace

std::string whyWithoutTf32(const Node& node, const TacticOptions& options) {
  if (!node.region->anchor()) return {};
  for (const std::string& origin : node.origins)
    if (auto found = options.withoutTf32.find(origin); found != options.withoutTf32.end())
      return found->second;
  return {};
}

Problem problemOf(const Node& node, const TacticOptions& options) {
  Problem problem;
  problem.region = *node.region;
  problem.device = options.device;
  for (const Value* input : node.inputs) {
    TensorDesc desc;
    desc.present = input != nullptr;
    if (input) {
      desc.dtype = input->type.dtype;
      desc.shape = input->type.shape;
      desc.constant = input->constant.get();
      if (!input->isConstant()) desc.contents = input->contents;
    }
    problem.inputs.push_back(std::move(desc));
  }
  for (const Value* output : node.outputs)
    problem.outputs.push_back({output->type.dtype, output->type.shape, nullptr, true});
  auto isFloat32 = [](const TensorDesc& input) {
    return input.present && input.dtype == DType::F32;
  };
  const Region::Step* anchor = problem.region.anchor();
  if (anchor && std::ranges::any_of(problem.inputs, isFloat32) && !mustNotRound(node, options)) {
    problem.tf32 = options.tf32 && hasTf32(options.device) && whyWithoutTf32(node, options).empty();
    problem.bf16 = options.bf16 && options.device.multipliesBf16() && anchor->op.name() == "MatMul";
  }
  return problem;
}

DType precisionOf(const Problem& problem) {
  const Region::Step* anchor = problem.region.anchor();
  if (!anchor || anchor->inputs.empty() || anchor->inputs[0] < 0)
    return problem.outputs.empty() ? DType::F32 : problem.outputs[0].dtype;
  const int read = anchor->inputs[0];
  if (problem.region.isInput(read)) return problem.inputs[static_cast<size_t>(read)].dtype;
  return problem.tensorTypes()[static_cast<size_t>(read)].dtype;
}

ConcreteShapes shapesAt(const Problem& problem, const ShapePoint& point) {
  auto lookup = [&](const std::string& symbol) {
    auto found = point.find(symbol);
    ensure(found != point.end(), "a symbol has no value at the tuning point");
    return found->second;
  };
  ConcreteShapes shapes;
  for (const TensorDesc& input : problem.inputs)
    shapes.inputs.push_back(input.shape.evaluate(lookup));
  for (const TensorDesc& output : problem.outputs)
    shapes.outputs.push_back(output.shape.evaluate(lookup));
  shapes.symbols = point;
  return shapes;
}

namespace {

// A request names a kernel or the folder of several: "cpu/conv" covers "cpu/conv/direct". After an
// '@' stands an ONNX node: then only layers that came from it do without.
bool covers(std::string_view request, std::string_view kernel) {
  const std::string_view name = request.substr(0, request.find('@'));
  return kernel == name ||
         (kernel.starts_with(name) && kernel.substr(name.size()).starts_with('/'));
}

// Throws Error (InvalidArgument) for a request that names no kernel.
void checkRequests(const TacticOptions& options) {
  for (const std::string& request : options.withoutKernels) {
    std::vector<std::string> names;
    for (const Kernel* kernel : kernelsOf(options.device.kind)) {
      std::string_view name = kernel->name();
      for (size_t end = name.find('/'); end != std::string_view::npos;
           end = name.find('/', end + 1))
        names.emplace_back(name.substr(0, end));
      names.emplace_back(name);
    }
    if (std::ranges::any_of(names, [&](const std::string& name) { return covers(request, name); }))
      continue;
    std::string near = closest(request.substr(0, request.find('@')), names);
    throw Error(
        ErrorCode::InvalidArgument, fmt::format("kernel {} to be left out", request),
        "a kernel's name or the folder of several",
        near.empty() ? "`carnot explain` lists them" : fmt::format("did you mean {}?", near));
  }
}

// The fallback stays: something must run.
bool leftOut(std::string_view kernel, const Node& node, const TacticOptions& options) {
  auto names = [&](std::string_view request) {
    if (!covers(request, kernel)) return false;
    const size_t at = request.find('@');
    return at == std::string_view::npos || std::find(node.origins.begin(), node.origins.end(),
                                                     request.substr(at + 1)) != node.origins.end();
  };
  return kernel != fallbackOf(options.device.kind).name() &&
         std::any_of(options.withoutKernels.begin(), options.withoutKernels.end(), names);
}

void addCandidates(Tactic& tactic, const Node& node, const Kernel& kernel,
                   const TacticOptions& options) {
  if (leftOut(kernel.name(), node, options)) {
    tactic.refusals.push_back({kernel.name(), "left out by request"});
    return;
  }
  Support support = kernel.supports(*tactic.problem);
  if (auto* refusal = std::get_if<Refusal>(&support)) {
    tactic.refusals.push_back({kernel.name(), std::move(refusal->reason)});
    return;
  }
  ConcreteShapes shapes = shapesAt(*tactic.problem, options.points.front());
  for (Configuration& configuration : std::get<std::vector<Configuration>>(support)) {
    Candidate candidate;
    candidate.kernel = &kernel;
    candidate.estimate = kernel.estimate(*tactic.problem, configuration, shapes);
    candidate.configuration = std::move(configuration);
    tactic.candidates.push_back(std::move(candidate));
  }
}

int64_t elementsOf(const std::vector<int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t(1), std::multiplies<>());
}

size_t scratchOf(const Problem& problem, const Candidate& candidate, const ConcreteShapes& shapes) {
  Prepared prepared = candidate.kernel->prepare(problem, candidate.configuration);
  BindArguments bind{prepared.parameters, {}, problem.device};
  for (const Tensor& weight : prepared.weights) bind.weights.push_back(weight.view());
  ConcreteShapes runtimeShapes{{}, shapes.outputs, shapes.symbols};
  for (int input : prepared.runtimeInputs) runtimeShapes.inputs.push_back(shapes.inputs[input]);
  return candidate.kernel->bind(bind)->specialize(runtimeShapes)->workspaceBytes();
}

// Refuses the candidates that need more scratch than is allowed at any point. They are bound to
// know, unless no kernel could ask for that much.
void limitWorkspace(Tactic& tactic, const TacticOptions& options) {
  if (options.workspaceBytes == 0) return;
  const Problem& problem = *tactic.problem;
  for (const ShapePoint& point : options.points) {
    ConcreteShapes shapes = shapesAt(problem, point);
    if (workspaceBound(problem, shapes) <= options.workspaceBytes) continue;
    std::erase_if(tactic.candidates, [&](const Candidate& candidate) {
      std::string why;
      try {
        size_t bytes = scratchOf(problem, candidate, shapes);
        if (bytes <= options.workspaceBytes) return false;
        why = fmt::format("needs {} bytes of workspace, {} are allowed", bytes,
                          options.workspaceBytes);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::Unsupported) throw;
        why = fmt::format("does not run: {}", error.has());
      }
      tactic.refusals.push_back(
          {candidate.kernel->name(), candidate.configuration.toString() + " " + why});
      return true;
    });
  }
}

}  // namespace

size_t workspaceBound(const Problem& problem, const ConcreteShapes& shapes) {
  size_t bytes = 0;
  for (size_t i = 0; i < problem.inputs.size(); ++i)
    if (problem.inputs[i].present)
      bytes += dtypeBytes(problem.inputs[i].dtype, elementsOf(shapes.inputs[i]));
  for (size_t i = 0; i < problem.outputs.size(); ++i)
    bytes += dtypeBytes(problem.outputs[i].dtype, elementsOf(shapes.outputs[i]));
  if (problem.device.multiprocessors > 0) return 4 * bytes + (64u << 20);
  return 4 * bytes + static_cast<size_t>(problem.device.threads) * (8u << 20);
}

Tactic gatherCandidates(const Node& node, const TacticOptions& options) {
  Tactic tactic;
  tactic.problem = std::make_shared<const Problem>(problemOf(node, options));
  if (precisionOf(*tactic.problem) == DType::F32)
    tactic.withoutTf32 = whyWithoutTf32(node, options);
  auto kernels = kernelsOf(options.device.kind);
  for (const Kernel* kernel : kernels.first(kernels.size() - 1))
    addCandidates(tactic, node, *kernel, options);
  limitWorkspace(tactic, options);
  if (tactic.candidates.empty()) addCandidates(tactic, node, *kernels.back(), options);
  ensure(!tactic.candidates.empty(), "a region that not even the reference takes");
  std::stable_sort(tactic.candidates.begin(), tactic.candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.estimate < b.estimate; });
  // The best of every choice of layouts comes first, so that a short timing sees them all.
  auto sameLayouts = [](const Candidate& a, const Candidate& b) {
    return a.configuration.inputs == b.configuration.inputs &&
           a.configuration.outputs == b.configuration.outputs;
  };
  auto end = tactic.candidates.begin();
  for (auto next = end; next != tactic.candidates.end(); ++next) {
    bool known = std::any_of(tactic.candidates.begin(), end,
                             [&](const Candidate& other) { return sameLayouts(other, *next); });
    if (!known) std::rotate(end++, next, next + 1);
  }
  return tactic;
}

namespace {

bool onlyReference(const Tactic& tactic) {
  return tactic.candidates.front().kernel == &fallbackOf(tactic.problem->device.kind);
}

// Steps [first, last) of a region as a region of their own; `reads` and `gives` name the local
// tensors of the whole that become its inputs and outputs.
Region cutSteps(const Region& whole, size_t first, size_t last, std::vector<int>& reads,
                std::vector<int>& gives) {
  Region part;
  std::vector<int> local(whole.tensorCount(), -1);
  reads.clear();
  gives.clear();
  for (size_t s = first; s < last; ++s)
    for (int input : whole.steps[s].inputs) {
      bool inside = false;
      for (size_t p = first; p < last; ++p)
        inside |= input >= whole.steps[p].firstOutput &&
                  input < whole.steps[p].firstOutput + whole.steps[p].outputCount;
      if (input >= 0 && !inside && std::find(reads.begin(), reads.end(), input) == reads.end())
        reads.push_back(input);
    }
  for (size_t i = 0; i < reads.size(); ++i) local[reads[i]] = static_cast<int>(i);
  part.inputCount = static_cast<int>(reads.size());
  int next = part.inputCount;
  for (size_t s = first; s < last; ++s) {
    Region::Step step = whole.steps[s];
    for (int& input : step.inputs)
      if (input >= 0) input = local[input];
    for (int i = 0; i < step.outputCount; ++i) local[whole.steps[s].firstOutput + i] = next + i;
    step.firstOutput = next;
    next += step.outputCount;
    part.steps.push_back(std::move(step));
  }
  for (size_t s = first; s < last; ++s)
    for (int i = 0; i < whole.steps[s].outputCount; ++i) {
      int tensor = whole.steps[s].firstOutput + i;
      bool leaves =
          std::find(whole.outputs.begin(), whole.outputs.end(), tensor) != whole.outputs.end();
      for (size_t later = 0; later < whole.steps.size() && !leaves; ++later)
        if (later < first || later >= last)
          leaves = std::find(whole.steps[later].inputs.begin(), whole.steps[later].inputs.end(),
                             tensor) != whole.steps[later].inputs.end();
      if (leaves) {
        gives.push_back(tensor);
        part.outputs.push_back(local[tensor]);
      }
    }
  return part;
}

// Replaces `node` by its first `head` steps and the others; gives the two nodes.
std::pair<Node*, Node*> splitAt(Graph& graph, Node* node, size_t head) {
  const Region whole = *node->region;
  std::vector<Value*> values(whole.tensorCount(), nullptr);
  for (int i = 0; i < whole.inputCount; ++i) values[i] = node->inputs[i];
  auto addPart = [&](size_t first, size_t last) {
    std::vector<int> reads, gives;
    Region part = cutSteps(whole, first, last, reads, gives);
    std::vector<Value*> inputs;
    for (int tensor : reads) inputs.push_back(values[tensor]);
    Node* made = graph.addRegion(node->name, std::move(part), std::move(inputs), node);
    made->origins = node->origins;
    for (size_t i = 0; i < gives.size(); ++i) values[gives[i]] = made->outputs[i];
    return made;
  };
  Node* first = addPart(0, head);
  Node* second = addPart(head, whole.steps.size());
  for (size_t i = 0; i < node->outputs.size(); ++i) {
    Value* to = values[whole.outputs[i]];
    graph.replaceUses(node->outputs[i], to);
    std::swap(node->outputs[i]->name, to->name);
  }
  std::swap(node->name, second->name);
  graph.erase(node);
  return {first, second};
}

void splitUnsupported(Graph& graph, const TacticOptions& options) {
  std::vector<Node*> pending = graph.nodeList();
  std::reverse(pending.begin(), pending.end());
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    if (!node->region || node->region->steps.size() < 2) continue;
    if (!onlyReference(gatherCandidates(*node, options))) continue;
    // The longest prefix that a kernel takes; the rest is looked at again.
    size_t head = node->region->steps.size() - 1;
    for (; head > 1; --head) {
      std::vector<int> reads, gives;
      Node probe;
      probe.origins = node->origins;
      Region part = cutSteps(*node->region, 0, head, reads, gives);
      std::vector<TensorType> types;
      for (const Value* input : node->inputs) types.push_back(input ? input->type : TensorType{});
      std::vector<TensorType> all = inferRegion(*node->region, types);
      std::vector<Value> outputs(gives.size());
      for (int tensor : reads) probe.inputs.push_back(node->inputs[tensor]);
      for (size_t i = 0; i < gives.size(); ++i) {
        outputs[i].type = all[gives[i]];
        probe.outputs.push_back(&outputs[i]);
      }
      probe.region = std::make_shared<const Region>(std::move(part));
      if (!onlyReference(gatherCandidates(probe, options))) break;
    }
    options.log.verbose(fmt::format("split {} after {} of {} steps: no kernel takes {}", node->name,
                                    head, node->region->steps.size(), node->region->label()));
    auto [first, second] = splitAt(graph, node, head);
    pending.push_back(second);
    if (head == 1) continue;
    pending.push_back(first);
  }
}

}  // namespace

TacticMap gatherAll(Graph& graph, const TacticOptions& options) {
  checkRequests(options);
  splitUnsupported(graph, options);
  TacticMap tactics;
  for (const auto& node : graph.nodes())
    if (node->region) tactics.emplace(node.get(), gatherCandidates(*node, options));
  return tactics;
}

}  // namespace carnot
