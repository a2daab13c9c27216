#pragma once

namespace carnot {

class OnnxNode;

void importResize(OnnxNode& node);
void importUpsample(OnnxNode& node);

}  // namespace carnot
