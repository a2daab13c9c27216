namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/resize_loops_body.h"

const carnot::ResizeLoops& carnot::resizeLoopsAvx512() { return kLoops; }
