#include <nlohmann/json.hpp>

#include "plan/emit.h"

namespace carnot {

namespace {

using nlohmann::ordered_json;

ordered_json pointJson(const ShapePoint& point) {
  ordered_json json = ordered_json::object();
  for (const auto& [symbol, value] : point) json[symbol] = value;
  return json;
}

ordered_json candidateJson(const Candidate& candidate) {
  ordered_json json;
  json["kernel"] = candidate.kernel->name();
  json["configuration"] = candidate.configuration.toString();
  ordered_json times = ordered_json::array();
  for (const Candidate::Time& time : candidate.times)
    times.push_back({{"microseconds", time.seconds * 1e6}, {"measured", time.measured}});
  json["times"] = std::move(times);
  return json;
}

}  // namespace

std::string explainTactics(const Graph& graph, const TacticMap& tactics,
                           const EmitOptions& options) {
  ordered_json root;
  root["device"] = options.device.fingerprint();
  for (const ShapePoint& point : options.points) root["points"].push_back(pointJson(point));
  root["steps"] = ordered_json::array();
  for (const auto& node : graph.nodes()) {
    if (!node->region) continue;
    const Tactic& tactic = tactics.at(node.get());
    ordered_json step;
    step["name"] = node->name;
    step["operators"] = node->region->label();
    step["origins"] = node->origins;
    step["precision"] = dtypeName(precisionOf(*tactic.problem));
    if (tactic.problem->tf32) step["tf32"] = true;
    if (tactic.problem->bf16) step["bf16"] = true;
    if (!tactic.withoutTf32.empty()) step["without_tf32"] = tactic.withoutTf32;
    for (const Value* input : node->inputs)
      step["inputs"].push_back(input ? input->type.toString() + " " + layoutName(input->layout)
                                     : std::string("absent"));
    for (const Value* output : node->outputs)
      step["outputs"].push_back(output->type.toString() + " " + layoutName(output->layout));
    step["chosen"] = tactic.chosenAt;
    for (const Candidate& candidate : tactic.candidates)
      step["candidates"].push_back(candidateJson(candidate));
    step["refusals"] = ordered_json::array();
    for (const RefusedKernel& refusal : tactic.refusals)
      step["refusals"].push_back({{"kernel", refusal.kernel}, {"reason", refusal.reason}});
    root["steps"].push_back(std::move(step));
  }
  return root.dump();
}

}  // namespace carnot
