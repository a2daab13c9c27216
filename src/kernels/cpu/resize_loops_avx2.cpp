namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/resize_loops_body.h"

const carnot::ResizeLoops& carnot::resizeLoopsAvx2() { return kLoops; }
