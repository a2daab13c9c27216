#pragma once

#include "builder/compile.h"
#include "passes/precision.h"

namespace carnot {

// What the options ask of the precision phase.
struct PrecisionPlan {
  PrecisionOptions passes;     // what the device can do
  PrecisionOptions requested;  // what was asked of layers
  SensitiveLayers withoutTf32 = {};
};

// From the graph as imported. Throws Error (InvalidArgument) for a layer that is not there.
PrecisionPlan planPrecision(const Graph& graph, const CompileOptions& options);

// Before the precision phase: finds the layers that stay in float32 of themselves.
void planSensitive(const Graph& graph, const CompileOptions& options, PrecisionPlan& plan);

// After the precision phase: says in the log what permissions were used for, and what was asked of
// layers in vain. Throws Error (Unsupported) for that under PrecisionConstraints::Obey.
void settlePrecision(const Graph& graph, const PrecisionPlan& plan, const CompileOptions& options);

}  // namespace carnot
