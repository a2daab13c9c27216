#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tactics/tactics.h"

namespace carnot {

class WeightTable;

struct EmitOptions {
  DeviceTraits device;
  std::vector<ShapePoint> points;       // as given to chooseTactics
  std::vector<EngineProfile> profiles;  // ranges in the order of symbolsOf
  std::string producer;
  // Emits a node's body, its sections into the same table.
  std::function<EngineData(const Graph& body, WeightTable& weights)> emitBody;
};

// The symbols that stand alone as a dim of an input, in order of first appearance: what a shape set
// at run time determines. Throws Error (Unsupported) when a graph input uses another symbol. Then
// those that nodes give values as they run, in the order of the nodes.
std::vector<EngineSymbol> symbolsOf(const Graph& graph);

// Turns the graph, every region with its tactic, into an engine: packs constants, lays views over
// their sources, names steps. The same graph and tactics give the same engine.
EngineData emitEngine(const Graph& graph, const TacticMap& tactics, const EmitOptions& options);
// The engine of a body: without meta, profiles and weights.
EngineData emitBody(const Graph& graph, const TacticMap& tactics, const EmitOptions& options,
                    WeightTable& weights);

// What was considered for each step and why it was chosen, as JSON (EngineMeta::explanation).
std::string explainTactics(const Graph& graph, const TacticMap& tactics,
                           const EmitOptions& options);

}  // namespace carnot
