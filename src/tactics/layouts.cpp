#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "tactics/measure.h"
#include "tactics/tactics.h"

namespace carnot {

namespace {

// One choice for every node, and what it costs.
class Assignment {
 public:
  Assignment(Graph& graph, TacticMap& tactics, const TacticOptions& options)
      : graph_(graph), tactics_(tactics), options_(options) {
    for (const auto& node : graph.nodes())
      if (node->region) order_.push_back(node.get());
    // Bytes that a copy of this size moves a second: read and write of memory beyond the caches. A
    // GPU turns channels at half the pace of its memory.
    const bool isGpu = options.device.memoryBandwidth > 0;
    bandwidth_ = isGpu ? options.device.memoryBandwidth / 2
                       : 8e9 * std::sqrt(static_cast<double>(options.device.threads));
  }

  // Starts from each node's candidate that `rank` likes best.
  void start(const std::function<double(const Candidate&)>& rank) {
    for (Node* node : order_) {
      const auto& candidates = tactics_.at(node).candidates;
      size_t best = 0;
      for (size_t i = 1; i < candidates.size(); ++i)
        if (rank(candidates[i]) < rank(candidates[best])) best = i;
      chosen_[node] = best;
    }
  }

  // Changes one node at a time while that helps.
  void improve() {
    constexpr int kRounds = 20;
    for (int round = 0; round < kRounds; ++round) {
      bool changed = false;
      for (Node* node : order_) {
        size_t before = chosen_[node], best = before;
        double bestCost = around(node);
        for (size_t i = 0; i < tactics_.at(node).candidates.size(); ++i) {
          if (i == before) continue;
          chosen_[node] = i;
          double cost = around(node);
          if (cost < bestCost * (1 - 1e-9)) {
            bestCost = cost;
            best = i;
          }
        }
        chosen_[node] = best;
        changed |= best != before;
      }
      if (!changed) break;
    }
  }

  double total() const {
    double sum = 0;
    for (Node* node : order_) sum += ownSeconds(node);
    for (const auto& value : graph_.values()) sum += reformatSeconds(value.get());
    return sum;
  }

  const std::unordered_map<const Node*, size_t>& chosen() const { return chosen_; }

  Layout layoutOf(const Value* value) const {
    const Node* producer = value->producer;
    if (!producer || !producer->region) return Layout::plain();
    return candidateOf(producer).configuration.outputs[value->producerOutput];
  }

  // Layout that `node` reads at input `index`; constants and views' operands are plain.
  Layout needed(const Node* node, size_t index) const {
    if (!node->region || node->inputs[index]->isConstant()) return Layout::plain();
    return candidateOf(node).configuration.inputs[index];
  }

 private:
  const Candidate& candidateOf(const Node* node) const {
    return tactics_.at(node).candidates[chosen_.at(node)];
  }
  double ownSeconds(const Node* node) const { return candidateOf(node).secondsAt(0); }

  // Of copying `value` into every other layout that someone needs.
  double reformatSeconds(const Value* value) const {
    if (value->isConstant() || value->type.shape.rank() < 3) return 0;
    Layout has = layoutOf(value);
    std::vector<Layout> wanted;
    auto want = [&](Layout layout) {
      if (layout != has && std::find(wanted.begin(), wanted.end(), layout) == wanted.end())
        wanted.push_back(layout);
    };
    for (const Node* consumer : value->consumers)
      for (size_t i = 0; i < consumer->inputs.size(); ++i)
        if (consumer->inputs[i] == value) want(needed(consumer, i));
    if (graph_.isOutput(value)) want(Layout::plain());
    if (wanted.empty()) return 0;
    return static_cast<double>(wanted.size()) * (copyBytes(value) / bandwidth_ + 2e-6);
  }

  double copyBytes(const Value* value) const {
    auto [found, fresh] = bytes_.try_emplace(value, 0.0);
    if (fresh) {
      auto lookup = [&](const std::string& symbol) { return options_.points.front().at(symbol); };
      found->second = 2.0 * static_cast<double>(value->type.shape.elementCount().evaluate(lookup)) *
                      dtypeBits(value->type.dtype) / 8;
    }
    return found->second;
  }

  // What changes with the choice of `node`.
  double around(const Node* node) const {
    double sum = ownSeconds(node);
    std::vector<const Value*> seen;
    auto add = [&](const Value* value) {
      if (!value || std::find(seen.begin(), seen.end(), value) != seen.end()) return;
      seen.push_back(value);
      sum += reformatSeconds(value);
    };
    for (const Value* input : node->inputs) add(input);
    for (const Value* output : node->outputs) add(output);
    return sum;
  }

  Graph& graph_;
  TacticMap& tactics_;
  const TacticOptions& options_;
  std::vector<Node*> order_;
  std::unordered_map<const Node*, size_t> chosen_;
  mutable std::unordered_map<const Value*, double> bytes_;
  double bandwidth_;
};

size_t otherLayouts(const Candidate& candidate) {
  auto plain = [](const Layout& layout) { return layout.isPlain(); };
  return static_cast<size_t>(
      std::count_if(candidate.configuration.outputs.begin(), candidate.configuration.outputs.end(),
                    std::not_fn(plain)) +
      std::count_if(candidate.configuration.inputs.begin(), candidate.configuration.inputs.end(),
                    std::not_fn(plain)));
}

// A node that copies `value` into `layout`, placed before `before` (null: the end).
Value* insertReformat(Graph& graph, TacticMap& tactics, Value* value, Layout layout, Node* before,
                      const TacticOptions& options) {
  const OpDef* definition = findOperator("Reformat");
  ensure(definition != nullptr, "the Reformat operator is missing");
  bool present = true;
  Region region = Region::single(definition->make({}), std::span<const bool>(&present, 1), 1);
  Node* node = graph.addRegion("reformat_" + value->name, std::move(region), {value}, before);
  node->origins = value->producer ? value->producer->origins : std::vector<std::string>{};
  node->outputs[0]->layout = layout;
  Tactic tactic = gatherCandidates(*node, options);
  std::erase_if(tactic.candidates, [&](const Candidate& candidate) {
    return candidate.configuration.inputs[0] != value->layout ||
           candidate.configuration.outputs[0] != layout;
  });
  if (tactic.candidates.empty())
    throwInternal(fmt::format("no kernel reformats {} from {} to {}", value->name,
                              layoutName(value->layout), layoutName(layout)));
  tactic.chosenAt.assign(options.points.size(), 0);
  Value* copy = node->outputs[0];
  tactics.emplace(node, std::move(tactic));
  return copy;
}

bool sameLayouts(const Candidate& a, const Candidate& b) {
  return a.configuration.inputs == b.configuration.inputs &&
         a.configuration.outputs == b.configuration.outputs;
}

// Times of a CPU that differ by less are equal: what the estimates like best is taken, which holds
// for more shapes than the one that was timed.
constexpr double kTimesEqual = 1.02;

size_t amongEquals(const Tactic& tactic, size_t chosen) {
  const Candidate& first = tactic.candidates[chosen];
  size_t best = chosen;
  for (size_t i = 0; i < tactic.candidates.size(); ++i) {
    const Candidate& candidate = tactic.candidates[i];
    if (sameLayouts(candidate, first) &&
        candidate.secondsAt(0) <= first.secondsAt(0) * kTimesEqual &&
        candidate.estimate < tactic.candidates[best].estimate)
      best = i;
  }
  return best;
}

// The candidate for a further point: the fastest that keeps the layouts.
size_t bestAt(const Tactic& tactic, size_t point) {
  const Candidate& first = tactic.candidates[tactic.chosen];
  size_t best = tactic.chosen;
  for (size_t i = 0; i < tactic.candidates.size(); ++i) {
    const Candidate& candidate = tactic.candidates[i];
    if (!sameLayouts(candidate, first)) continue;
    if (candidate.secondsAt(point) < tactic.candidates[best].secondsAt(point)) best = i;
  }
  return best;
}

}  // namespace

void chooseLayouts(Graph& graph, TacticMap& tactics, const TacticOptions& options) {
  // A node's choice matters to its neighbours, so one descent can stop too early: several starts.
  const std::function<double(const Candidate&)> starts[] = {
      [](const Candidate& c) { return c.secondsAt(0); },
      [](const Candidate& c) { return c.secondsAt(0) - static_cast<double>(otherLayouts(c)); },
      [](const Candidate& c) { return c.secondsAt(0) + static_cast<double>(otherLayouts(c)); },
  };
  std::optional<Assignment> best;
  for (const auto& rank : starts) {
    Assignment attempt(graph, tactics, options);
    attempt.start(rank);
    attempt.improve();
    if (!best || attempt.total() < best->total()) best.emplace(std::move(attempt));
  }
  for (const auto& [node, index] : best->chosen()) {
    Tactic& tactic = tactics.at(node);
    tactic.chosen = options.device.memoryBandwidth > 0 ? index : amongEquals(tactic, index);
    for (size_t point = 0; point < options.points.size(); ++point)
      tactic.chosenAt.push_back(point == 0 ? tactic.chosen : bestAt(tactic, point));
  }

  struct Use {
    Node* node;
    size_t index;
    Layout layout;
  };
  std::vector<Use> uses;
  for (Node* node : graph.nodeList()) {
    for (size_t i = 0; i < node->inputs.size(); ++i)
      if (node->inputs[i] && !node->inputs[i]->isConstant())
        uses.push_back({node, i, best->needed(node, i)});
    for (Value* output : node->outputs) output->layout = best->layoutOf(output);
  }
  std::map<std::pair<Value*, int>, Value*> copies;
  auto copyOf = [&](Value* value, Layout layout, Node* before) {
    auto key = std::pair(value, static_cast<int>(layout.kind) * 256 + layout.block);
    auto [found, fresh] = copies.try_emplace(key, nullptr);
    if (fresh) found->second = insertReformat(graph, tactics, value, layout, before, options);
    return found->second;
  };
  for (const Use& use : uses) {
    Value* value = use.node->inputs[use.index];
    if (value->layout != use.layout)
      graph.setInput(use.node, use.index, copyOf(value, use.layout, use.node));
  }
  for (Value*& output : graph.outputs) {
    if (output->layout.isPlain()) continue;
    Value* copy = copyOf(output, Layout::plain(), nullptr);
    std::swap(output->name, copy->name);
    output = copy;
  }
  graph.sort();
}

}  // namespace carnot
