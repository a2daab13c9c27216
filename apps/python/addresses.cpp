#include "python/addresses.h"

#include <carnot/memory.h>
#include <carnot/report.h>
#include <carnot/streams.h>
#include <fmt/format.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "python/watch.h"

namespace nb = nanobind;

namespace carnot::python {
namespace {

using Shape = std::vector<int64_t>;
using Times = std::vector<std::pair<std::string, double>>;

// Inputs and outputs by address. An address is looked at when the context runs: whether it is
// memory, and has room. One call at a time; a second is refused.
class AddressContext {
 public:
  // Throws Error (InvalidArgument) where device memory is not of the engine's device.
  explicit AddressContext(const Engine& engine)
      : context_((checkDevice(engine), engine.createContext())),
        inputs_(engine.inputs().size()),
        outputs_(engine.outputs().size()),
        shapes_(engine.inputs().size()),
        isOrdered_(engine.info().deviceKind != "cpu") {}

  void setProfile(int profile) {
    Turn turn(*this);
    context_.setProfile(profile);
  }
  void setInputShape(int index, const Shape& shape) {
    Turn turn(*this);
    context_.setInputShape(index, shape);
    shapes_.at(index) = shape;
  }
  Shape outputShape(int index) {
    Turn turn(*this);
    auto dims = context_.outputShape(index);
    return {dims.begin(), dims.end()};
  }
  void setInput(int index, uintptr_t address) { inputs_.at(index) = pointer(address); }
  void setOutput(int index, uintptr_t address) { outputs_.at(index) = pointer(address); }
  // Of an output that depends on data: asked within the run, with bytes and shape, for an address.
  // None lets go of the last.
  void setOutputAllocator(int index, nb::object allocate) {
    if (allocate.is_none()) return context_.setOutputAllocator(index, {});
    const TensorInfo& info = context_.engine().outputs().at(index);
    context_.setOutputAllocator(
        index,
        [allocate = std::move(allocate), name = info.name](size_t bytes,
                                                           std::span<const int64_t> dims) -> void* {
          uintptr_t address = 0;
          {
            nb::gil_scoped_acquire held;
            address = nb::cast<uintptr_t>(allocate(bytes, Shape(dims.begin(), dims.end())));
          }
          deviceMemory().checkUsable(pointer(address), bytes, fmt::format("output {}", name),
                                     DeviceMemory::Access::Write);
          return pointer(address);
        });
  }

  // In a stream's order; see Context::enqueue. `waits`: until the stream is through.
  void run(uintptr_t stream, bool waits) {
    Turn turn(*this);
    nb::gil_scoped_release released;
    if (isOrdered_) deviceStreams().checkStream(stream);
    passAddresses();
    context_.enqueue(pointer(stream));
    if (waits) await(stream);
  }
  Times runTimed(uintptr_t stream) {
    Turn turn(*this);
    nb::gil_scoped_release released;
    await(stream);
    passAddresses();
    Times times;
    context_.runTimed([&](std::string_view layer, double milliseconds) {
      times.emplace_back(layer, milliseconds);
    });
    return times;
  }
  void runWatched(const nb::object& watcher, uintptr_t stream) {
    Turn turn(*this);
    await(stream);
    passAddresses();
    python::runWatched(context_, watcher);
  }
  nb::tuple memory() {
    Turn turn(*this);
    Context::Memory memory = context_.memory();
    return nb::make_tuple(memory.arenaBytes, memory.lowerBoundBytes);
  }

 private:
  class Turn {
   public:
    explicit Turn(AddressContext& context) : busy_(context.busy_) {
      if (busy_.exchange(true))
        throw Error(ErrorCode::InvalidArgument, "a context that is in use by another thread",
                    "one context for each thread", "create another from the same engine");
    }
    ~Turn() { busy_ = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    std::atomic<bool>& busy_;
  };

  static void checkDevice(const Engine& engine) {
    const std::string built = engine.info().deviceKind;
    const std::string_view used = deviceMemory().kind();
    if (used == "cpu" || built == used) return;  // other devices take the host's memory by copies
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("an engine for device {} beside device memory of {}", built, used),
                fmt::format("an engine built for {}", used),
                "build it here again, or set CARNOT_DEVICE=" + built);
  }

  static void* pointer(uintptr_t address) {
    return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
  }

  static size_t bytesOf(const TensorInfo& info, std::span<const int64_t> dims) {
    int64_t count = 1;
    for (int64_t dim : dims) count *= dim;
    return dtypeBytes(info.dtype, count);
  }

  // Of the shape set, else of the one declared, which then is fixed or refused by the context.
  Shape inputShape(int index) const {
    if (!shapes_[index].empty()) return shapes_[index];
    Shape shape;
    for (const std::string& dim : context_.engine().inputs()[index].dims)
      if (dim.find_first_not_of("0123456789") == std::string::npos)
        shape.push_back(std::stoll(dim));
    return shape;
  }

  // What fills the inputs.
  void await(uintptr_t stream) const {
    if (isOrdered_) deviceStreams().synchronize(stream);
  }

  void passAddresses() {
    DeviceMemory& memory = deviceMemory();
    const auto& inputs = context_.engine().inputs();
    const auto& outputs = context_.engine().outputs();
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].dependsOnData) continue;
      size_t bytes = bytesOf(outputs[i], context_.outputShape(static_cast<int>(i)));
      memory.checkUsable(outputs_[i], bytes, fmt::format("output {}", outputs[i].name),
                         DeviceMemory::Access::Write);
      context_.setOutput(static_cast<int>(i), outputs_[i]);
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      size_t bytes = bytesOf(inputs[i], inputShape(static_cast<int>(i)));
      memory.checkUsable(inputs_[i], bytes, fmt::format("input {}", inputs[i].name),
                         DeviceMemory::Access::Read);
      context_.setInput(static_cast<int>(i), inputs_[i]);
    }
  }

  Context context_;
  std::vector<void*> inputs_, outputs_;
  std::vector<Shape> shapes_;
  bool isOrdered_;  // by streams; else work is done when the call returns
  std::atomic<bool> busy_ = false;
};

}  // namespace

void bindAddressContext(nb::module_& m) {
  nb::class_<AddressContext>(m, "AddressContext")
      .def(nb::init<const Engine&>())
      .def("set_profile", &AddressContext::setProfile)
      .def("set_input_shape", &AddressContext::setInputShape)
      .def("output_shape", &AddressContext::outputShape)
      .def("set_input", &AddressContext::setInput)
      .def("set_output", &AddressContext::setOutput)
      .def("set_output_allocator", &AddressContext::setOutputAllocator, nb::arg("index"),
           nb::arg("allocate").none())
      .def("run", &AddressContext::run, nb::arg("stream") = 0, nb::arg("waits") = true)
      .def("run_timed", &AddressContext::runTimed, nb::arg("stream") = 0)
      .def("run_watched", &AddressContext::runWatched, nb::arg("watcher"), nb::arg("stream") = 0)
      .def("memory", &AddressContext::memory);
}

}  // namespace carnot::python
