// Tells of every call to the driver, for tests that count what a run does.
#include <atomic>

#include "devices/cuda/driver.h"

namespace carnot::cuda {
namespace {

using Listener = void (*)(const char* function);
std::atomic<Listener> listener{nullptr};

template <int Id, typename R, typename... Arguments>
struct Traced {
  static inline R (*inner)(Arguments...) = nullptr;
  static inline const char* name = "";
  static R call(Arguments... arguments) {
    if (Listener tell = listener) tell(name);
    return inner(arguments...);
  }
};

template <int Id, typename R, typename... Arguments>
void wrap(R (*&function)(Arguments...), const char* name) {
  using Call = Traced<Id, R, Arguments...>;
  if (function == &Call::call) return;
  Call::inner = function;
  Call::name = name;
  function = &Call::call;
}

}  // namespace
}  // namespace carnot::cuda

// From the first call on every function of the driver's table goes through `tell` (null: no longer
// tells). The driver must be idle meanwhile.
extern "C" void carnotTraceDriver(void (*tell)(const char* function)) {
  using namespace carnot::cuda;
  Driver& table = driverTable();
#define CARNOT_TEXT(name) #name
#define CARNOT_SYMBOL(name) wrap<__COUNTER__>(table.name, CARNOT_TEXT(name));
#include "devices/cuda/driver.inc"
#undef CARNOT_SYMBOL
#undef CARNOT_TEXT
  listener = tell;
}
