// Where the processor is not an x86-64: no level that a test would generate code for is there.

#include <stdexcept>

#include "suites/support/vector_function.h"

namespace carnot::test {

VectorFunction::VectorFunction(const ScalarProgram&, IsaSet, int) {
  throw std::logic_error("vector functions are generated for x86-64 alone");
}
void VectorFunction::run(std::span<const void* const>, std::span<void* const>, int64_t) const {}

}  // namespace carnot::test
