namespace {
constexpr int kLanes = 16;
}
#include "kernels/cpu/strassen_loops_body.h"

void carnot::strassenRowAvx512(const StrassenRow& row) { strassenRow(row); }
