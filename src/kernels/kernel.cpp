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
  std::vector<const Tensor*> constants;
  for (const TensorDesc& input : inputs)
    constants.push_back(input.constant && !input.constant->empty() ? input.constant : nullptr);
  return inferRegion(region, inputTypes(), constants);
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
    if (!input.constant) continue;
    add("constant");
    if (!input.constant->empty() && input.constant->count() == 1)
      hash = hashCombine(hash, input.constant->hash());
  }
  add("->");
  for (const TensorDesc& output : outputs) add(TensorType{output.dtype, output.shape}.toString());
  add(device.fingerprint());
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
  return text;
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
  std::vector<TensorType> types = problem.inputTypes();
  for (size_t i = 0; i < types.size(); ++i)
    if (problem.inputs[i].present) types[i].shape = Shape::of(shapes.inputs[i]);
  Cost cost = costRegion(problem.region, types);
  return roofline(cost, problem.device, 1.0);
}

double roofline(const Cost& cost, const DeviceTraits& device, double efficiency) {
  // Two multiply-adds a cycle and core at 3 GHz; 10 GB/s a core, 40 together.
  double flops = 3e9 * 4 * device.floatLanes() * device.threads * efficiency;
  double bandwidth = std::min(10e9 * device.threads, 40e9);
  return std::max(cost.flops / flops, cost.bytes / bandwidth) + 1e-6;
}

}  // namespace carnot
