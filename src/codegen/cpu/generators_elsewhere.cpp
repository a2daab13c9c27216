// Where the processor is not an x86-64: no code is generated. The kernels that would run it refuse,
// since the processor lacks AVX2, and loops are interpreted.

#include "base/error.h"
#include "codegen/cpu/amx_product.h"
#include "codegen/cpu/brgemm.h"
#include "codegen/cpu/depthwise.h"
#include "codegen/cpu/loop_jit.h"
#include "codegen/cpu/softmax_rows.h"

namespace carnot {
namespace {

constexpr const char* kReason = "machine code is generated for x86-64 alone";

[[noreturn]] void notHere() {
  throw Error(ErrorCode::Unsupported, "a kernel of generated code", kReason, "");
}

}  // namespace

std::optional<std::string> epilogueRefusal(const ScalarProgram&, IsaSet) { return kReason; }
std::optional<std::string> refuseMachineCode(const Loop&, IsaSet) { return kReason; }
int loopLanes(const Loop&, IsaSet) { notHere(); }
std::shared_ptr<const LoopFunction> compileLoop(const Loop&, const LoopShape::Variant&, IsaSet) {
  notHere();
}

AmxProduct::AmxProduct(const AmxSpec&) { notHere(); }
int BrgemmSpec::maxRows(int, int, bool) { notHere(); }
Brgemm::Brgemm(const BrgemmSpec&) { notHere(); }
size_t Brgemm::codeBytes() const { return 0; }
int DepthwiseSpec::maxPixels(int, int) { notHere(); }
Depthwise::Depthwise(const DepthwiseSpec&) { notHere(); }
SoftmaxRows::SoftmaxRows(const SoftmaxRowsSpec&) { notHere(); }
float SoftmaxRows::factor(float, float) const { notHere(); }

}  // namespace carnot
