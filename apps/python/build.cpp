#include "python/build.h"

#include <carnot/network.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <chrono>
#include <functional>
#include <future>

namespace nb = nanobind;

namespace carnot::python {
namespace {

// The Python side of a build: callbacks and the first exception that one of them raised.
class Listeners {
 public:
  Listeners(nb::object log, nb::object progress, nb::object patches, std::atomic<bool>& cancelled)
      : log_(std::move(log)),
        progress_(std::move(progress)),
        patches_(std::move(patches)),
        cancelled_(cancelled) {}

  void listenTo(BuildOptions& options) {
    if (!log_.is_none())
      options.log = [this](Severity severity, std::string_view message) {
        call([&] { log_(static_cast<int>(severity), message); });
      };
    if (!progress_.is_none())
      options.progress = [this](std::string_view phase, size_t done, size_t all) {
        call([&] { progress_(phase, done, all); });
      };
    if (!patches_.is_none())
      options.onPatch = [this](const AppliedPatch& patch) {
        call([&] {
          nb::list origins;
          for (const std::string& origin : patch.origins) origins.append(origin);
          patches_(patch.number, patch.pass, patch.label, patch.reason, patch.node, origins);
        });
      };
  }

  // With the interpreter held.
  void checkSignals() {
    if (PyErr_CheckSignals() != 0) keep(nb::python_error());
  }
  void rethrow() {
    if (raised_) std::rethrow_exception(raised_);
  }

 private:
  template <typename Act>
  void call(Act act) {
    nb::gil_scoped_acquire held;
    try {
      act();
    } catch (nb::python_error& error) {
      keep(std::move(error));
    }
  }
  void keep(nb::python_error error) {
    if (!raised_) raised_ = std::make_exception_ptr(std::move(error));
    cancelled_ = true;
  }

  nb::object log_, progress_, patches_;
  std::atomic<bool>& cancelled_;
  std::exception_ptr raised_;
};

}  // namespace

Engine buildEngine(nb::handle model, PythonBuildOptions& given, nb::object log, nb::object progress,
                   nb::object patches) {
  BuildOptions options = given;
  std::string timings = given.timingsText.value_or("");
  if (given.timingsText) options.timings = &timings;
  std::atomic<bool> cancelled = false;
  options.cancelled = &cancelled;
  Listeners listeners(std::move(log), std::move(progress), std::move(patches), cancelled);
  listeners.listenTo(options);

  std::function<Engine()> work;  // what it refers to is kept by `model`
  if (nb::isinstance<nb::str>(model)) {
    work = [&options, path = nb::cast<std::string>(model)] { return build(path, options); };
  } else if (nb::isinstance<Network>(model)) {
    work = [&options, network = nb::cast<Network>(model)] { return build(network, options); };
  } else {
    auto object = nb::cast<nb::bytes>(model);
    std::span<const std::byte> bytes(static_cast<const std::byte*>(object.data()), object.size());
    work = [&options, bytes] { return build(bytes, options); };
  }

  // Signals are heard on this thread, so the build has another.
  std::future<Engine> built;
  {
    nb::gil_scoped_release released;
    built = std::async(std::launch::async, work);
    while (built.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      nb::gil_scoped_acquire held;
      listeners.checkSignals();
    }
  }
  try {
    Engine engine = built.get();
    listeners.rethrow();
    if (given.timingsText) given.timingsText = timings;
    return engine;
  } catch (const Error&) {
    listeners.rethrow();
    throw;
  }
}

}  // namespace carnot::python
