namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/recurrent_loops_body.h"

const carnot::RecurrentLoops& carnot::recurrentLoopsAvx2() { return kLoops; }
