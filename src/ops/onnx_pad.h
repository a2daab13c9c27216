#pragma once

namespace carnot {

class OnnxNode;

void importPad(OnnxNode& node);

}  // namespace carnot
