#pragma once

#include <optional>

#include "passes/pass.h"

namespace carnot {

// The rules of the passes, one file each; pipeline.cpp names, orders and describes them.

using Proposal = std::optional<Patch>;

Proposal foldConstants(const Graph& graph, Node* node, const PassOptions& options);
Proposal foldShapes(const Graph& graph, Node* node, const PassOptions& options);
Proposal rewritePowers(const Graph& graph, Node* node, const PassOptions& options);
Proposal canonicalOperands(const Graph& graph, Node* node, const PassOptions& options);
Proposal expandBatchNorm(const Graph& graph, Node* node, const PassOptions& options);
Proposal absorbMoves(const Graph& graph, Node* node, const PassOptions& options);
Proposal dropExpand(const Graph& graph, Node* node, const PassOptions& options);
Proposal indexArithmetic(const Graph& graph, Node* node, const PassOptions& options);
Proposal mergeConstants(const Graph& graph, Node* node, const PassOptions& options);
Proposal foldScale(const Graph& graph, Node* node, const PassOptions& options);
Proposal mergeConvolutions(const Graph& graph, Node* node, const PassOptions& options);
Proposal splitProducts(const Graph& graph, Node* node, const PassOptions& options);
Proposal moveRows(const Graph& graph, Node* node, const PassOptions& options);
Proposal mergeProducts(const Graph& graph, Node* node, const PassOptions& options);
Proposal recognizeActivations(const Graph& graph, Node* node, const PassOptions& options);
Proposal recognizeNorms(const Graph& graph, Node* node, const PassOptions& options);
Proposal recognizeAttention(const Graph& graph, Node* node, const PassOptions& options);
Proposal shareEqualNodes(const Graph& graph, Node* node, const PassOptions& options);
Proposal dropDeadNodes(const Graph& graph, Node* node, const PassOptions& options);
Proposal cancelIdentities(const Graph& graph, Node* node, const PassOptions& options);
Proposal mergeMoves(const Graph& graph, Node* node, const PassOptions& options);
Proposal halfPrecision(const Graph& graph, Node* node, const PassOptions& options);
Proposal fuseAttention(const Graph& graph, Node* node, const PassOptions& options);
Proposal fuseWindows(const Graph& graph, Node* node, const PassOptions& options);
Proposal fuseReductions(const Graph& graph, Node* node, const PassOptions& options);
Proposal fusePointwise(const Graph& graph, Node* node, const PassOptions& options);
Proposal wrapOperators(const Graph& graph, Node* node, const PassOptions& options);

}  // namespace carnot
