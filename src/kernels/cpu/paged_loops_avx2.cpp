namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/paged_loops_body.h"

const carnot::PagedLoops& carnot::pagedLoopsAvx2() { return kLoops; }
