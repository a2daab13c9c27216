#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/kernel.h"
#include "runtime/runtime.h"
#include "runtime/slices.h"

namespace carnot {

// All that the values of the symbols known so far decide of a segment: dims, variants, executables
// and places in memory. Immutable and shared by contexts. What is not known yet, or of other
// segments, is left empty.
struct ShapePlan {
  std::span<const int64_t> dimsOf(int32_t tensor) const {
    return std::span(dims).subspan(dimStarts[tensor], dimStarts[tensor + 1] - dimStarts[tensor]);
  }

  std::vector<int64_t> symbolValues;
  std::vector<int64_t> dims;                             // of all tensors, one after another
  std::vector<size_t> dimStarts;                         // tensors + 1
  std::vector<size_t> bytes;                             // of each tensor
  std::vector<int64_t> offsets;                          // of each tensor from its root's start
  std::vector<int64_t> places;                           // of each root Activation in its arena
  std::vector<char> kept;                                // 1: not in the arena but what is kept
  std::vector<int64_t> workspaces;                       // of each step in the arena
  std::vector<int> variants;                             // of each step
  std::vector<std::unique_ptr<Executable>> executables;  // of each step, of one turn in `slices`
  std::vector<Slices> slices;                            // in order, apart
  // Of each tensor, if there are slices: from one image to the next; 0 where the same memory serves
  // each turn, or all.
  std::vector<size_t> imageBytes;
  // Of each Shape tensor, others null: contents in the device's memory, which one of the next
  // holds.
  std::vector<const void*> contents;
  std::vector<Tensor> hostContents;
  std::shared_ptr<Buffer> uploadedContents;
  int64_t arenaBytes = 0;
  int64_t keptBytes = 0;  // of what later segments read
  int64_t lowerBoundBytes = 0;
};

// The plan of segment 0. `inputDims`: dims of all inputs in order, each of its declared rank.
// `whole`: every tensor is there as a whole once its step ran, nothing runs in slices. Throws Error
// (InvalidArgument) when the dims contradict each other or a guard.
std::shared_ptr<const ShapePlan> makeShapePlan(const LoadedEngine::State& state,
                                               std::span<const int64_t> inputDims, bool whole);
// The plan of a later one, given the values of its symbols.
std::shared_ptr<const ShapePlan> makeSegmentPlan(const LoadedEngine::State& state, size_t segment,
                                                 std::span<const int64_t> symbolValues);

// The most bytes that a tensor may take.
size_t mostTensorBytes(const Device& device);

StepCost costOfStep(const LoadedEngine::State& state, const ShapePlan& plan, size_t step);

// "[batch, 3, height]" of a tensor's declared dims.
std::string declaredShape(const EngineTensor& tensor, std::span<const std::string> symbolNames);
std::string shapeText(std::span<const int64_t> dims);  // "[2, 3, 224]"

}  // namespace carnot
