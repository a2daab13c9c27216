namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/paged_loops_body.h"

const carnot::PagedLoops& carnot::pagedLoopsAvx512() { return kLoops; }
