// Where the processor is not an x86-64: the loops of its instruction sets, which nothing chooses.

#include "devices/rates.h"

namespace carnot {

const RateLoops kRateLoopsAvx2 = {}, kRateLoopsAvx512 = {};

}  // namespace carnot
