#pragma once

namespace carnot {

class OnnxNode;

// Normalizations and norms that are a few operators here.
void importLrn(OnnxNode& node);
void importMeanVarianceNormalization(OnnxNode& node);
void importLpNormalization(OnnxNode& node);
void importGlobalLpPool(OnnxNode& node);

}  // namespace carnot
