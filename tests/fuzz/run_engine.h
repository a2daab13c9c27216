#pragma once

#include <memory>

#include "engine/engine.h"
#include "runtime/runtime.h"

namespace carnot::fuzz {

// Runs an engine once on zeros at small shapes, unless that would take much memory or time. Throws
// what the runtime throws.
inline void runEngine(std::shared_ptr<const EngineData> engine) {
  constexpr size_t kMostElements = 1 << 18;
  constexpr int64_t kMostArena = 64 << 20;
  constexpr double kMostWork = 1e8;  // operations and bytes
  auto context = LoadedEngine::create(engine, {.threads = 1})->createContext();
  auto memoryFor = [&](DType dtype, std::span<const int64_t> dims) {
    size_t elements = 1;
    for (int64_t dim : dims)
      if (dim < 0 || __builtin_mul_overflow(elements, static_cast<size_t>(dim), &elements) ||
          elements > kMostElements)
        return std::vector<std::byte>();
    return std::vector<std::byte>(dtypeBytes(dtype, static_cast<int64_t>(elements)) + 1);
  };
  std::vector<std::vector<std::byte>> memory;
  for (size_t i = 0; i < engine->inputs.size(); ++i) {
    const EngineTensor& tensor = engine->tensors[engine->inputs[i]];
    std::vector<int64_t> dims;
    for (const DimProgram& dim : tensor.dims)
      dims.push_back(dim.constant().value_or(3 + static_cast<int64_t>(dims.size() % 2)));
    memory.push_back(memoryFor(tensor.dtype, dims));
    if (memory.back().empty()) return;
    context->setInputShape(static_cast<int>(i), dims);
    context->setInputAddress(static_cast<int>(i), memory.back().data());
  }
  context->prepare();
  if (context->memory().arenaBytes > kMostArena) return;
  for (size_t i = 0; i < engine->outputs.size(); ++i) {
    const EngineTensor& tensor = engine->tensors[engine->outputs[i]];
    memory.push_back(memoryFor(tensor.dtype, context->outputShape(static_cast<int>(i))));
    if (memory.back().empty()) return;
    context->setOutputAddress(static_cast<int>(i), memory.back().data());
  }
  double work = 0;
  for (size_t step = 0; step < engine->steps.size(); ++step) {
    StepCost cost = context->stepCost(static_cast<int>(step));
    work += cost.flops + cost.bytes;
  }
  if (work > kMostWork) return;
  context->run();
}

}  // namespace carnot::fuzz
