#include "cli/exec/bindings.h"

#include <carnot/contents.h>
#include <carnot/memory.h>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "cli/exec/input_file.h"
#include "cli/exec/name_pattern.h"

namespace carnot::cli::exec {

namespace {

std::shared_ptr<void> allocateOnDevice(size_t bytes) {
  DeviceMemory& memory = deviceMemory();
  return {memory.allocate(std::max<size_t>(bytes, 1)), [&](void* data) { memory.release(data); }};
}

void fill(Binding& binding, const std::string* file, uint32_t seed) {
  if (file)
    readContents(*file, binding.info, binding.dims, binding.host);
  else
    fillMadeUp(binding.info.dtype, binding.count(), binding.host.data(), seed);
}

void announce(const Binding& binding, const std::string* file, const Output& output) {
  const std::string& name = binding.info.name;
  const char* kind = binding.input ? "input" : "output";
  bool real = isFloat(binding.info.dtype) || isComplex(binding.info.dtype);
  output.info(fmt::format("Created {} binding for {} with dimensions {}", kind, name,
                          shapeText(binding.dims)));
  if (!binding.input) return;
  output.info(file ? fmt::format("Using values loaded from {} for input {}", *file, name)
                   : fmt::format("Using {} for input {}", real ? "random values" : "ones", name));
}

}  // namespace

int64_t Binding::count() const {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies());
}

Bindings::Bindings(const Engine& engine, const Shapes& shapes, const InferenceFlags& flags,
                   const Output* output)
    : context_(engine.createContext()) {
  if (flags.profile) context_.setProfile(*flags.profile);
  std::vector<std::string> names;
  for (const TensorInfo& info : engine.inputs()) {
    names.push_back(info.name);
    context_.setInputShape(info.name, shapes.at(info.name));
  }
  for (const ReferencePair& pair : flags.pairs)
    for (const auto& entry : pair.inputs) requireMatch("--loadInputs", entry.first, names);
  for (const TensorInfo& info : engine.inputs()) {
    Binding& binding = add(info, shapes.at(info.name), true);
    const std::string* file = findByName(flags.inputFiles(), info.name);
    fill(binding, file, static_cast<uint32_t>(bindings_.size()));
    context_.setInput(info.name, binding.device.get());
    if (output) announce(binding, file, *output);
  }
  for (const TensorInfo& info : engine.outputs()) {
    if (info.dependsOnData) {
      find(info);
      if (output)
        output->info(
            fmt::format("Created output binding for {} of {}: its dimensions depend on data",
                        info.name, info.toString()));
      continue;
    }
    auto dims = context_.outputShape(info.name);
    Binding& binding = add(info, {dims.begin(), dims.end()}, false);
    context_.setOutput(info.name, binding.device.get());
    if (output) announce(binding, nullptr, *output);
  }
  copyInputs();
}

Binding& Bindings::add(const TensorInfo& info, std::vector<int64_t> dims, bool input) {
  Binding binding{info, std::move(dims), input, {}, {}};
  binding.host.resize(dtypeBytes(info.dtype, binding.count()));
  binding.device = allocateOnDevice(binding.host.size());
  return bindings_.emplace_back(std::move(binding));
}

void Bindings::find(const TensorInfo& info) {
  Binding& binding = bindings_.emplace_back(Binding{info, {}, false, {}, {}});
  context_.setOutputAllocator(
      info.name, [&binding, room = size_t(0)](size_t bytes, std::span<const int64_t> dims) mutable {
        binding.dims.assign(dims.begin(), dims.end());
        binding.host.resize(bytes);
        if (!binding.device || bytes > room) binding.device = allocateOnDevice(room = bytes);
        return binding.device.get();
      });
}

void Bindings::load(const std::map<std::string, std::string>& files) {
  for (Binding& binding : bindings_)
    if (const std::string* file = binding.input ? findByName(files, binding.info.name) : nullptr)
      readContents(*file, binding.info, binding.dims, binding.host);
  copyInputs();
}

void Bindings::copyInputs() {
  for (Binding& binding : bindings_)
    if (binding.input && !binding.host.empty())
      deviceMemory().copyToDevice(binding.device.get(), binding.host.data(), binding.host.size());
}

void Bindings::copyOutputs() {
  for (Binding& binding : bindings_)
    if (!binding.input && !binding.host.empty())
      deviceMemory().copyToHost(binding.host.data(), binding.device.get(), binding.host.size());
}

}  // namespace carnot::cli::exec
