namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/recurrent_loops_body.h"

const carnot::RecurrentLoops& carnot::recurrentLoopsAvx512() { return kLoops; }
