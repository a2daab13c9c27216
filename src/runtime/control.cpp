#include "runtime/control.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/shape.h"
#include "runtime/context.h"
#include "runtime/shape_plan.h"

namespace carnot {

using Control = EngineStep::Control;

ControlStep::ControlStep(const LoadedEngine::State& state, const EngineStep& step, Stream& stream)
    : state_(state), step_(step), stream_(stream) {
  for (int32_t index : step.bodies)
    bodies_.push_back(makeBodyContext(*state.bodies[static_cast<size_t>(index)], stream));
  if (step.control == Control::Loop) {
    bindLoop();
    return;
  }
  for (const auto& body : bodies_)
    for (size_t i = 0; i < step.outputs.size(); ++i)
      body->setOutputAllocator(
          static_cast<int>(i),
          [this, i](size_t, std::span<const int64_t> dims) { return (*allocate_)(i, dims); });
}

void ControlStep::bindLoop() {
  slots_.resize(step_.outputs.size());
  ExecutionContext& body = *bodies_.front();
  body.setOutputAllocator(0, [this](size_t bytes, std::span<const int64_t>) {
    return next_.atLeast(*state_.device, bytes);
  });
  for (size_t i = 0; i < slots_.size(); ++i)
    body.setOutputAllocator(
        static_cast<int>(i) + 1, [this, i](size_t bytes, std::span<const int64_t> dims) {
          return i < static_cast<size_t>(step_.carried) ? placeCarried(i, bytes, dims)
                                                        : placeAdded(i, bytes, dims);
        });
}

void ControlStep::run(std::span<const Input> inputs, const RunArguments::Allocate& allocate) {
  allocate_ = &allocate;
  if (step_.control == Control::If)
    runIf(inputs);
  else
    runLoop(inputs, allocate);
}

void ControlStep::set(ExecutionContext& body, size_t index, const void* data,
                      std::span<const int64_t> dims) {
  body.setInputShape(static_cast<int>(index), dims);
  body.setInputAddress(static_cast<int>(index), data);
}

template <typename T>
T ControlStep::read(const void* data) {
  T value;
  if (state_.device->sharesHostMemory()) {
    std::memcpy(&value, data, sizeof value);
  } else {
    state_.device->copyFromDevice(&value, data, sizeof value, stream_);
    stream_.synchronize();
  }
  return value;
}

template <typename T>
void ControlStep::write(void* data, T value) {
  if (state_.device->sharesHostMemory()) {
    std::memcpy(data, &value, sizeof value);
  } else {
    state_.device->copyToDevice(data, &value, sizeof value, stream_);
    stream_.synchronize();
  }
}

void ControlStep::runIf(std::span<const Input> inputs) {
  ExecutionContext& body = *bodies_[read<uint8_t>(inputs[0].data) != 0 ? 0 : 1];
  for (size_t i = 1; i < inputs.size(); ++i) set(body, i - 1, inputs[i].data, inputs[i].dims);
  body.run();
}

void* ControlStep::placeCarried(size_t index, size_t bytes, std::span<const int64_t> dims) {
  Slot& slot = slots_[index];
  slot.dims[written_].assign(dims.begin(), dims.end());
  return slot.memory[written_].atLeast(*state_.device, bytes);
}

void* ControlStep::placeAdded(size_t index, size_t bytes, std::span<const int64_t> dims) {
  Slot& slot = slots_[index];
  if (slot.count == 0) {
    slot.dims[0].assign(dims.begin(), dims.end());
  } else if (!std::ranges::equal(slot.dims[0], dims)) {
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("iterations that give output {} the shapes {} and {}", index,
                            shapeText(slot.dims[0]), shapeText(dims)),
                "the same shape in all", "make the loop's body give one shape");
  }
  // Iterations stand one after another without gaps.
  void* all = slot.memory[0].growTo(*state_.device, slot.used + bytes, slot.used, stream_);
  void* place = static_cast<std::byte*>(all) + slot.used;
  slot.used += bytes;
  ++slot.count;
  return place;
}

void ControlStep::runLoop(std::span<const Input> inputs, const RunArguments::Allocate& allocate) {
  const int64_t most =
      inputs[0].data ? read<int64_t>(inputs[0].data) : std::numeric_limits<int64_t>::max();
  bool goesOn = !inputs[1].data || read<uint8_t>(inputs[1].data) != 0;
  const auto carried = static_cast<size_t>(step_.carried);
  ExecutionContext& body = *bodies_.front();
  void* iteration = iteration_.atLeast(*state_.device, sizeof(int64_t));
  void* condition = condition_.atLeast(*state_.device, 1);
  for (Slot& slot : slots_) {
    slot.used = 0;
    slot.count = 0;
  }
  body.setInputAddress(0, iteration);
  body.setInputAddress(1, condition);
  for (size_t i = 2 + carried; i < inputs.size(); ++i) set(body, i, inputs[i].data, inputs[i].dims);
  int64_t iterations = 0;
  while (iterations < most && goesOn) {
    write<int64_t>(iteration, iterations);
    write<uint8_t>(condition, 1);
    for (size_t j = 0; j < carried; ++j) {
      const int before = 1 - written_;
      if (iterations == 0)
        set(body, 2 + j, inputs[2 + j].data, inputs[2 + j].dims);
      else
        set(body, 2 + j, slots_[j].memory[before].data(), slots_[j].dims[before]);
    }
    body.run();
    written_ = 1 - written_;
    goesOn = read<uint8_t>(next_.data()) != 0;
    ++iterations;
  }
  const int last = 1 - written_;
  for (size_t j = 0; j < slots_.size(); ++j) {
    const Slot& slot = slots_[j];
    if (j >= carried)
      giveAdded(j, allocate);
    else if (iterations > 0)
      give(j, slot.memory[last].data(), slot.dims[last], allocate);
    else
      give(j, inputs[2 + j].data, inputs[2 + j].dims, allocate);
  }
}

void ControlStep::give(size_t output, const void* data, std::span<const int64_t> dims,
                       const RunArguments::Allocate& allocate) {
  void* to = allocate(output, dims);
  const EngineTensor& tensor = state_.engine->tensors[static_cast<size_t>(step_.outputs[output])];
  if (size_t bytes = dtypeBytes(tensor.dtype, elementCount(dims)); bytes > 0)
    state_.device->copyOnDevice(to, data, bytes, stream_);
}

void ControlStep::giveAdded(size_t output, const RunArguments::Allocate& allocate) {
  const Slot& slot = slots_[output];
  const EngineTensor& tensor = state_.engine->tensors[static_cast<size_t>(step_.outputs[output])];
  added_.assign(1, slot.count);
  for (size_t axis = 1; axis < tensor.dims.size(); ++axis)
    // Without iterations nobody says how large their parts would be.
    added_.push_back(slot.count > 0 ? slot.dims[0][axis - 1]
                                    : tensor.dims[axis].constant().value_or(0));
  give(output, slot.memory[0].data(), added_, allocate);
}

}  // namespace carnot
