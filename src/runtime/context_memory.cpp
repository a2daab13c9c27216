// Where each tensor of a context lies.

#include <algorithm>

#include "base/error.h"
#include "base/shape.h"
#include "runtime/engine_context.h"

namespace carnot {
namespace {

// Kernels load elements, so an address must suit the element, if not a whole vector.
void checkAlignment(const char* what, const EngineTensor& tensor, const void* data) {
  size_t alignment = std::clamp(dtypeBits(tensor.dtype) / 8, 1, 8);
  if (reinterpret_cast<uintptr_t>(data) % alignment == 0) return;
  throw Error(
      ErrorCode::InvalidArgument,
      fmt::format("{} {} at an address that is no multiple of {}", what, tensor.name, alignment),
      fmt::format("memory aligned to its elements of {}", dtypeName(tensor.dtype)),
      "copy it to aligned memory");
}

}  // namespace

void EngineContext::setInputAddress(int index, const void* data) {
  const EngineTensor& tensor = inputTensor(index);
  checkAlignment("input", tensor, data);
  // Steps write none but the states, which the application gives as its own to change:
  // validateEngine.
  setAddress(inputAddresses_[index], const_cast<void*>(data));
}

void EngineContext::setOutputAddress(int index, void* data) {
  const EngineTensor& tensor = outputTensor(index);
  checkAlignment("output", tensor, data);
  allocators_[index] = nullptr;
  setAddress(outputAddresses_[index], data);
}

void EngineContext::setOutputAllocator(int index, Allocator allocator) {
  outputTensor(index);
  allocators_[index] = std::move(allocator);
}

void EngineContext::bind(size_t k) {
  growMemory(k);
  if (k == 0 && bound_[k] != version_) placeInputs();
  placeOutputs(k);
  if (bound_[k] == version_) return;
  const ShapePlan& plan = *plans_[k];
  auto* arena = static_cast<std::byte*>(arena_.data());
  auto* kept = static_cast<std::byte*>(kept_[k].data());
  const auto first = static_cast<int32_t>(state_.segments[k].first);
  for (int32_t i : state_.segments[k].tensors) {
    if (state_.roots[i] != i) continue;
    if (engine_.tensors[i].kind == Kind::Shape)
      pointers_[i] = const_cast<void*>(plan.contents[i]);
    else if (engine_.tensors[i].kind == Kind::Activation && state_.lives[i].first >= first)
      pointers_[i] = (plan.kept[i] ? kept : arena) + plan.places[i];
  }
  for (int32_t i : state_.segments[k].tensors)
    if (int32_t root = state_.roots[i]; root != i)
      pointers_[i] = static_cast<std::byte*>(pointers_[root]) + plan.offsets[i];
  checkOverlaps(k);
  for (size_t i = segmentArguments_[k]; i < segmentArguments_[k + 1]; ++i) {
    const int32_t tensor = argumentTensors_[i];
    arguments_[i] = tensor >= 0 ? pointers_[tensor] : nullptr;
  }
  if (!places_.empty()) listPlaces(k);
  bound_[k] = version_;
}

void EngineContext::listPlaces(size_t k) {
  std::vector<MemoryRange>& places = places_[k];
  places.clear();
  places.push_back({arena_.data(), static_cast<size_t>(plans_[k]->arenaBytes)});
  for (size_t j = 0; j <= k; ++j)
    places.push_back({kept_[j].data(), static_cast<size_t>(plans_[j]->keptBytes)});
  for (int32_t tensor : engine_.inputs)
    places.push_back({pointers_[tensor], plans_[0]->bytes[tensor]});
  for (size_t i = 0; i < engine_.outputs.size(); ++i)
    if (state_.outputSegments[i] <= k)
      places.push_back({outputPointers_[i], plans_[k]->bytes[engine_.outputs[i]]});
  for (size_t j = 0; j < k; ++j)
    for (int32_t tensor : engine_.steps[state_.segments[j].last - 1].outputs)
      places.push_back({pointers_[tensor], plans_[k]->bytes[tensor]});
}

void EngineContext::placeInputs() {
  for (size_t i = 0; i < engine_.inputs.size(); ++i) {
    int32_t tensor = engine_.inputs[i];
    const bool state = engine_.tensors[tensor].kind == Kind::State;
    const size_t bytes = plans_[0]->bytes[tensor];
    void* data = address(state ? "state" : "input", tensor, inputAddresses_[i], bytes);
    pointers_[tensor] = staging_ ? staging_->input(i, data, bytes, state) : data;
  }
}

void EngineContext::growMemory(size_t k) {
  auto grow = [&](GrownBuffer& buffer, int64_t bytes) {
    void* before = buffer.data();
    if (pending_ && static_cast<size_t>(bytes) > buffer.bytes()) done_->synchronize();
    try {
      version_ += buffer.atLeast(*state_.device, static_cast<size_t>(bytes)) != before;
    } catch (Error& error) {
      error.within(fmt::format("activations and scratch of {} bytes at these shapes", bytes));
      throw;
    }
  };
  grow(arena_, plans_[k]->arenaBytes);
  if (plans_[k]->keptBytes > 0) grow(kept_[k], plans_[k]->keptBytes);
}

void EngineContext::placeOutputs(size_t k) {
  for (size_t i = 0; i < engine_.outputs.size(); ++i) {
    if (state_.outputSegments[i] != k) continue;
    const int32_t tensor = engine_.outputs[i];
    const size_t bytes = plans_[k]->bytes[tensor];
    if (allocators_[i]) {
      setAddress(outputAddresses_[i], allocators_[i](bytes, plans_[k]->dimsOf(tensor)));
      checkAlignment("output", engine_.tensors[tensor], outputAddresses_[i]);
    } else if (state_.levels[tensor] > 0) {
      throw Error(ErrorCode::InvalidArgument,
                  fmt::format("no allocator for output {}", engine_.tensors[tensor].name),
                  fmt::format("one, since its shape {} depends on the inputs' data",
                              declaredShape(engine_.tensors[tensor], state_.symbolNames)),
                  "set an output allocator before the run");
    } else if (bound_[k] == version_) {
      continue;
    }
    void* data = address("output", tensor, outputAddresses_[i], bytes);
    void* place = staging_ ? staging_->output(i, data, bytes) : data;
    version_ += place != outputPointers_[i];
    outputPointers_[i] = place;
    if (engine_.tensors[tensor].kind == Kind::Output) pointers_[tensor] = place;
  }
}

void* EngineContext::address(const char* what, int32_t tensor, void* data, size_t bytes) const {
  if (data) return data;
  if (bytes == 0) return arena_.data();
  throw Error(ErrorCode::InvalidArgument,
              fmt::format("no memory for {} {}", what, engine_.tensors[tensor].name),
              fmt::format("{} bytes", bytes), "set its address before the run");
}

void EngineContext::checkOverlaps(size_t k) const {
  for (size_t i = 0; k == 0 && i < engine_.inputs.size(); ++i) {
    if (engine_.tensors[engine_.inputs[i]].kind != Kind::State) continue;
    for (size_t j = 0; j < i; ++j)
      checkOverlap("state", engine_.inputs[i], inputAddresses_[i], "input", engine_.inputs[j],
                   inputAddresses_[j]);
  }
  for (size_t i = 0; i < engine_.outputs.size(); ++i) {
    if (state_.outputSegments[i] != k) continue;
    for (size_t j = 0; j < engine_.inputs.size(); ++j)
      checkOverlap("output", engine_.outputs[i], outputAddresses_[i], "input", engine_.inputs[j],
                   inputAddresses_[j]);
    for (size_t j = 0; j < engine_.outputs.size(); ++j)
      if (state_.outputSegments[j] < k || (state_.outputSegments[j] == k && j < i))
        checkOverlap("output", engine_.outputs[i], outputAddresses_[i], "output",
                     engine_.outputs[j], outputAddresses_[j]);
  }
}

void EngineContext::checkOverlap(const char* written, int32_t a, const void* atA, const char* what,
                                 int32_t b, const void* atB) const {
  auto beginA = reinterpret_cast<uintptr_t>(atA), beginB = reinterpret_cast<uintptr_t>(atB);
  size_t bytesA = bytesOf(a), bytesB = bytesOf(b);
  if (bytesA == 0 || bytesB == 0) return;
  if (beginA + bytesA <= beginB || beginB + bytesB <= beginA) return;
  throw Error(ErrorCode::InvalidArgument,
              fmt::format("{} {} in the memory of {} {}", written, engine_.tensors[a].name, what,
                          engine_.tensors[b].name),
              fmt::format("memory of its own for each {}", written));
}

}  // namespace carnot
