#pragma once

namespace carnot {

class OnnxNode;

// Random numbers, the same in every run: a hash of each element's place and of the attribute seed,
// or of the node's name without one.
void importBernoulli(OnnxNode& node);
void importRandomUniform(OnnxNode& node);
void importRandomUniformLike(OnnxNode& node);
void importRandomNormal(OnnxNode& node);
void importRandomNormalLike(OnnxNode& node);
void importMultinomial(OnnxNode& node);

}  // namespace carnot
