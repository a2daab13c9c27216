namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/winograd_loops_body.h"

const carnot::WinogradLoops& carnot::winogradLoopsAvx2(int64_t outputs) {
  return outputs == 4 ? kLoopsOf4 : kLoopsOf2;
}
