namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/winograd_loops_body.h"

const carnot::WinogradLoops& carnot::winogradLoopsAvx2() { return kLoops; }
