#pragma once

namespace carnot {

class OnnxNode;

void importSlice(OnnxNode& node);
// One Slice an output.
void importSplit(OnnxNode& node);

}  // namespace carnot
