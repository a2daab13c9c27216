namespace {
constexpr int kLanes = 4;
}
#include "kernels/cpu/recurrent_loops_body.h"

const carnot::RecurrentLoops& carnot::recurrentLoopsPortable() { return kLoops; }
