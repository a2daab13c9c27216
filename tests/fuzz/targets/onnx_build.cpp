// Any bytes as an ONNX model: an engine is built of them and run.
#include <carnot/builder.h>

#include "fuzz/run_engine.h"
#include "fuzz/targets.h"

void carnot::fuzz::onnxBuild(Bytes bytes) {
  BuildOptions options;
  options.threads = 1;
  options.optimizationLevel = 0;
  options.timingCache = "none";
  runEngine(deserializeEngine(build(bytes, options).serialize()));
}
