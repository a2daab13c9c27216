namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/pool_loops_body.h"

const carnot::PoolLoops& carnot::poolLoopsAvx512() { return kLoops; }
