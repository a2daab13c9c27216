namespace {
constexpr int kLanes = 4;
}
#include "kernels/cpu/pool_loops_body.h"

const carnot::PoolLoops& carnot::poolLoopsPortable() { return kLoops; }
