#pragma once

namespace carnot {

class OnnxNode;

void importRnn(OnnxNode& node);
void importGru(OnnxNode& node);
void importLstm(OnnxNode& node);

}  // namespace carnot
