// Where the processor is not an x86-64: the loops of its instruction sets, which nothing chooses.

#include "base/error.h"
#include "kernels/cpu/bf16_loops.h"
#include "kernels/cpu/copy_tiles.h"
#include "kernels/cpu/paged_loops.h"
#include "kernels/cpu/pool_loops.h"
#include "kernels/cpu/recurrent_loops.h"
#include "kernels/cpu/resize_loops.h"
#include "kernels/cpu/strassen_loops.h"
#include "kernels/cpu/winograd_loops.h"

namespace carnot {
namespace {

[[noreturn]] void notHere() {
  throw Error(ErrorCode::Unsupported, "loops for AVX2 or AVX-512", "an x86-64 processor", "");
}

}  // namespace

void roundToBf16Avx512(const float*, int64_t, uint16_t*) { notHere(); }
const CopyTiles& copyTilesAvx2() { notHere(); }
const CopyTiles& copyTilesAvx512() { notHere(); }
const PagedLoops& pagedLoopsAvx2() { notHere(); }
const PagedLoops& pagedLoopsAvx512() { notHere(); }
const PoolLoops& poolLoopsAvx2() { notHere(); }
const PoolLoops& poolLoopsAvx512() { notHere(); }
const RecurrentLoops& recurrentLoopsAvx2() { notHere(); }
const RecurrentLoops& recurrentLoopsAvx512() { notHere(); }
const ResizeLoops& resizeLoopsAvx2() { notHere(); }
const ResizeLoops& resizeLoopsAvx512() { notHere(); }
void strassenRowAvx2(const StrassenRow&) { notHere(); }
void strassenRowAvx512(const StrassenRow&) { notHere(); }
const WinogradLoops& winogradLoopsAvx2(int64_t) { notHere(); }
const WinogradLoops& winogradLoopsAvx512(int64_t) { notHere(); }

}  // namespace carnot
