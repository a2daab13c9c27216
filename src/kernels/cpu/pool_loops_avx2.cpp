namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/pool_loops_body.h"

const carnot::PoolLoops& carnot::poolLoopsAvx2() { return kLoops; }
