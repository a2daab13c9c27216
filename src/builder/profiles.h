#pragma once

#include <span>
#include <vector>

#include "builder/compile.h"
#include "tactics/tactics.h"

namespace carnot {

// Ranges of the symbols under each profile; one default range set, not enforced, when there are
// none. Throws Error (InvalidArgument) naming the input, what it has and what is needed.
std::vector<EngineProfile> resolveProfiles(const Graph& graph,
                                           std::span<const EngineSymbol> symbols,
                                           std::span<const ProfileShapes> profiles);

// The symbol values to tune at: each profile's opt first, then its max and min.
std::vector<ShapePoint> tuningPoints(const Graph& graph, std::span<const EngineSymbol> symbols,
                                     std::span<const EngineProfile> profiles);

// `inner`, with the values that symbols have at each point of the network around the body, where
// its guards allow them; `inner` alone where they do at none.
std::vector<ShapePoint> pointsWithin(const Graph& body, const ShapePoint& inner,
                                     std::span<const ShapePoint> around);

}  // namespace carnot
