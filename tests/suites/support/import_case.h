#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <vector>

#include "suites/support/eager_node.h"
#include "suites/support/operator_run.h"

namespace carnot::test {

// A node, and what the specification says of output 0.
struct ImportCase {
  const char* name;
  OnnxCase node;
  std::vector<int64_t> dims;
  std::vector<double> values;
};
void PrintTo(const ImportCase& row, std::ostream* out);
void expectImport(const ImportCase& row);

using Ints = std::vector<int64_t>;
Tensor list(Ints values);                  // int64 [n]
Tensor iota(Ints dims, double first = 1);  // float32: first, first + 1, ...

}  // namespace carnot::test
