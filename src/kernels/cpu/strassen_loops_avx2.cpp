namespace {
constexpr int kLanes = 8;
}
#include "kernels/cpu/strassen_loops_body.h"

void carnot::strassenRowAvx2(const StrassenRow& row) { strassenRow(row); }
