#pragma once

#include "kernels/cudnn/graph.h"

namespace carnot::cuda {

// Whether a plan rounds what it multiplies to the nearest TF32 instead of dropping the bits that
// TF32 lacks: results are then too small by some 3.5e-4 each, and such errors add up over layers.
// No note of cuDNN's tells it and tiles of one engine differ, so the plan is run on numbers that
// do; where the graph asks for less than 16 bytes, in memory aligned no better. True of full
// products and where it cannot be told, false of a plan that does not run.
bool rounds(const CudnnGraph& graph, const CudnnPlan& plan);

}  // namespace carnot::cuda
