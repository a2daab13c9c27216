namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/winograd_loops_body.h"

const carnot::WinogradLoops& carnot::winogradLoopsAvx512() { return kLoops; }
