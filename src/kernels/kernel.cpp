#include "kernels/kernel.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.h"

namespace carnot {

std::vector<TensorType> Problem::inputTypes() const {
  std::vector<TensorType> types;
  for (const TensorDesc& input : inputs) types.push_back({input.dtype, input.shape});
  return types;
}

std::vector<TensorType> Problem::tensorTypes() const {
  std::vector<TensorType> types = inputTypes();
  std::vector<InferContext::Input> seen;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorDesc& input = inputs[i];
    seen.push_back({&types[i],
                    input.constant && !input.constant->empty() ? input.constant : nullptr,
                    input.contents ? &*input.contents : nullptr});
  }
  return inferRegion(region, seen);
}

Problem Problem::substitute(const std::map<std::string, int64_t>& symbols) const {
  std::map<std::string, Dim> bySymbol;
  for (const auto& [name, value] : symbols) bySymbol.emplace(name, value);
  Problem problem = *this;
  problem.region = region.substitute(bySymbol);
  auto replace = [&](TensorDesc& desc) {
    desc.shape = desc.shape.substitute(bySymbol);
    if (!desc.contents) return;
    for (Dim& element : *desc.contents) element = element.substitute(bySymbol);
  };
  for (TensorDesc& input : problem.inputs) replace(input);
  for (TensorDesc& output : problem.outputs) replace(output);
  return problem;
}

uint64_t Problem::hash() const {
  uint64_t hash = region.hash();
  auto add = [&](std::string_view text) { hash = hash64(text, hash); };
  for (const TensorDesc& input : inputs) {
    if (!input.present) {
      add("absent");
      continue;
    }
    add(TensorType{input.dtype, input.shape}.toString());
    if (input.contents)
      for (const Dim& element : *input.contents) add(element.toString());
    if (!input.constant) continue;
    add("constant");
    if (!input.constant->empty() && input.constant->count() == 1)
      hash = hashCombine(hash, input.constant->hash());
  }
  add("->");
  for (const TensorDesc& output : outputs) add(TensorType{output.dtype, output.shape}.toString());
  add(device.fingerprint());
  if (tf32) add("tf32");
  if (bf16) add("bf16");
  return hash;
}

std::string Problem::toString() const {
  std::string text = region.toString() + " |";
  for (const TensorDesc& input : inputs)
    text += fmt::format(" {}{}", input.constant ? "const " : "",
                        input.present ? TensorType{input.dtype, input.shape}.toString() : "absent");
  text += " ->";
  for (const TensorDesc& output : outputs)
    text += " " + TensorType{output.dtype, output.shape}.toString();
  if (tf32) text += " tf32";
  return bf16 ? text + " bf16" : text;
}

std::string Configuration::toString() const {
  std::string text;
  for (const auto& [name, value] : parameters)
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, fieldToString(value));
  auto plain = [](const Layout& layout) { return layout.isPlain(); };
  if (std::ranges::all_of(inputs, plain) && std::ranges::all_of(outputs, plain)) return text;
  auto names = [](const std::vector<Layout>& layouts) {
    std::string joined;
    for (Layout layout : layouts) joined += (joined.empty() ? "" : ",") + layoutName(layout);
    return joined;
  };
  return fmt::format("{}{}({})->({})", text, text.empty() ? "" : ", ", names(inputs),
                     names(outputs));
}

double Kernel::estimate(const Problem& problem, const Configuration&,
                        const ConcreteShapes& shapes) const {
  return roofline(costAt(problem, shapes), problem.device, 1.0);
}

Cost costAt(const Problem& problem, const ConcreteShapes& shapes) {
  Problem concrete = problem.substitute(shapes.symbols);
  for (size_t i = 0; i < concrete.inputs.size(); ++i)
    if (concrete.inputs[i].present) concrete.inputs[i].shape = Shape::of(shapes.inputs[i]);
  std::vector<TensorType> types = concrete.tensorTypes();
  // Dims that depend on data are what they are taken to be here.
  for (size_t i = 0; i < shapes.outputs.size(); ++i)
    types[static_cast<size_t>(concrete.region.outputs[i])].shape = Shape::of(shapes.outputs[i]);
  return costOf(concrete.region, types);
}

double roofline(const Cost& cost, const DeviceTraits& device, double efficiency) {
  // 128 multiply-adds a cycle and multiprocessor at 1.7 GHz; a launch.
  if (device.multiprocessors > 0)
    return std::max(cost.flops / (1.7e9 * 256 * device.multiprocessors * efficiency),
                    cost.bytes / device.memoryBandwidth) +
           2e-6;
  // Two multiply-adds a cycle and core at 3 GHz; 10 GB/s a core, 40 together.
  double flops = 3e9 * 4 * device.floatLanes() * device.threads * efficiency;
  double bandwidth = std::min(10e9 * device.threads, 40e9);
  return std::max(cost.flops / flops, cost.bytes / bandwidth) + 1e-6;
}

}  // namespace carnot
