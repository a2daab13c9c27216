#pragma once

#include <optional>
#include <string>
#include <vector>

namespace carnot::onnx {

// Which branch the importer takes of each If whose branches differ in what a run cannot change (a
// rank), where dims alone decide between them; guards then hold the dims to it. Where the rest of
// the model does not fit, the import begins anew with the next combination.
class BranchChoices {
 public:
  // The one made for the node.
  std::optional<bool> of(const std::string& node) const {
    for (const Choice& choice : made_)
      if (choice.node == node) return choice.holds;
    return std::nullopt;
  }
  void make(const std::string& node, bool holds) { made_.push_back({node, holds, true}); }
  // False: every combination was tried.
  bool revise() {
    while (!made_.empty() && !made_.back().isFirst) made_.pop_back();
    if (made_.empty()) return false;
    made_.back().holds = !made_.back().holds;
    made_.back().isFirst = false;
    return true;
  }

 private:
  struct Choice {
    std::string node;
    bool holds = true;
    bool isFirst = true;
  };
  std::vector<Choice> made_;
};

}  // namespace carnot::onnx
