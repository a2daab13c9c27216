// Any bytes as an ONNX model: an engine is built of them and run, or they are refused with an
// Error.
#include <carnot/builder.h>
#include <carnot/error.h>

#include <cstddef>
#include <cstdint>

#include "run_engine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace carnot;
  try {
    BuildOptions options;
    options.threads = 1;
    options.optimizationLevel = 0;
    options.timingCache = "none";
    Engine engine = build(std::as_bytes(std::span(data, size)), options);
    fuzz::runEngine(deserializeEngine(engine.serialize()));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Internal) __builtin_trap();
  }
  return 0;
}
