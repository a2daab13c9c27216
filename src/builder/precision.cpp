#include "builder/precision.h"

#include <carnot/names.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace carnot {

namespace {

constexpr size_t kNamed = 3;  // layers that a message names

// Whether fast kernels of the device compute in the type.
bool computesIn(const DeviceTraits& device, DType type) {
  if (type == DType::F16) return device.computeCapability >= 53;
  if (type == DType::BF16) return device.computeCapability >= 80;
  return type == DType::F32;
}

std::string someOf(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamed);
  std::string text = fmt::format("{}", fmt::join(names.begin(), names.begin() + shown, ", "));
  return names.size() > shown ? fmt::format("{} and {} more", text, names.size() - shown) : text;
}

// "4 stay in float32: 2 (Exp: it outgrows half): a, b; …"
std::string keptText(const PrecisionReport& report) {
  std::string text;
  for (const PrecisionReport::Kept& kept : report.kept)
    text += fmt::format("{}{} ({}): {}", text.empty() ? "" : "; ", kept.nodes.size(), kept.reason,
                        someOf(kept.nodes));
  return text;
}

void reportPermits(const Graph& graph, const PrecisionPlan& plan, const CompileOptions& options) {
  const PrecisionReport report = reportPrecision(graph, plan.passes);
  const size_t all = report.half + report.float32;
  for (DType type : options.permits) {
    if (type == DType::F32) continue;
    const std::string_view name = dtypeName(type);
    if (type == DType::BF16 && options.device.multipliesBf16()) {
      options.log.info(fmt::format(
          "{} is allowed: used for products of float32 by constant matrices, which may round their "
          "operands to it; tensors and sums stay float32",
          name));
    } else if (!computesIn(options.device, type)) {
      options.log.info(fmt::format(
          "{} is allowed: used for 0 of {} layers, since no kernel for {} computes in it: it is a "
          "storage format there{}",
          name, all, options.device.kind,
          report.half ? fmt::format("; {} layers have 16 bits of their own", report.half)
                      : std::string()));
    } else if (type != plan.passes.half) {
      options.log.info(fmt::format("{} is allowed: used for 0 of {} layers, since {} is too", name,
                                   all, dtypeName(plan.passes.half)));
    } else {
      options.log.info(fmt::format(
          "{} is allowed: used for {} of {} layers{}", name, report.half, all,
          report.float32 ? fmt::format("; {} stay in float32: {}", report.float32, keptText(report))
                         : std::string()));
    }
  }
}

}  // namespace

PrecisionPlan planPrecision(const Graph& graph, const CompileOptions& options) {
  PrecisionPlan plan;
  for (DType type : {DType::BF16, DType::F16})
    if (options.permits.contains(type) && computesIn(options.device, type)) plan.passes.half = type;
  if (options.precisionConstraints == PrecisionConstraints::None) return plan;
  std::map<std::string, const Node*, std::less<>> byName;
  for (const auto& node : graph.nodes()) {
    byName.emplace(node->name, node.get());
    for (const std::string& origin : node->origins) byName.emplace(origin, node.get());
  }
  for (const auto& [name, asked] : options.layerPrecisions) {
    auto found = byName.find(name);
    if (found == byName.end()) {
      std::vector<std::string> names;
      for (const auto& entry : byName) names.push_back(entry.first);
      const std::string near = closest(name, names);
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("a precision for layer {}, which there is not", name),
                  "a layer's name or an ONNX node's",
                  near.empty() ? "" : fmt::format("did you mean {}?", near));
    }
    for (const std::string& origin : found->second->origins) {
      plan.requested.layers.insert_or_assign(origin, asked);
      LayerPrecision can = asked;
      for (std::optional<DType>* type : {&can.compute, &can.output})
        if (*type && !computesIn(options.device, **type)) type->reset();
      if (can.compute || can.output) plan.passes.layers.insert_or_assign(origin, can);
    }
  }
  return plan;
}

void planSensitive(const Graph& graph, const CompileOptions& options, PrecisionPlan& plan) {
  if (options.roundAll) return;
  if (plan.passes.half != DType::F32)
    plan.passes.sensitive = sensitiveLayers(graph, Rounding::Half);
  if (options.tf32 && options.device.computeCapability >= 80)
    plan.withoutTf32 = sensitiveLayers(graph, Rounding::Tf32);
}

void settlePrecision(const Graph& graph, const PrecisionPlan& plan, const CompileOptions& options) {
  reportPermits(graph, plan, options);
  const std::vector<std::string> unmet = unmetPrecisions(graph, plan.requested);
  if (unmet.empty()) return;
  const std::string has = fmt::format("{} of {} layers that were asked for a precision: {}",
                                      unmet.size(), plan.requested.layers.size(), someOf(unmet));
  if (options.precisionConstraints == PrecisionConstraints::Obey)
    throw Error(ErrorCode::Unsupported, has,
                fmt::format("precisions that kernels for {} compute in", options.device.kind),
                "prefer precisions, instead of having them obeyed, or ask for float32");
  options.log.warning(has);
}

}  // namespace carnot
