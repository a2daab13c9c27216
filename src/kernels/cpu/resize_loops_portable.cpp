namespace {
constexpr int kLanes = 4;
}
#include "kernels/cpu/resize_loops_body.h"

const carnot::ResizeLoops& carnot::resizeLoopsPortable() { return kLoops; }
