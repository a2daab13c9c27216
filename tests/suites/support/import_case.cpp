#include "suites/support/import_case.h"

#include <cmath>

namespace carnot::test {

void PrintTo(const ImportCase& row, std::ostream* out) { *out << row.name; }

void expectImport(const ImportCase& row) {
  Tensor y = runOnnx(row.node);
  EXPECT_EQ(y.dims(), row.dims);
  std::vector<double> values = y.toDoubles();
  ASSERT_EQ(values.size(), row.values.size());
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(values[i], row.values[i], 1e-6 * (1 + std::abs(row.values[i]))) << i;
}

Tensor list(Ints values) {
  const auto count = static_cast<int64_t>(values.size());
  return ints({count}, std::move(values));
}

Tensor iota(Ints dims, double first) {
  std::vector<double> values(static_cast<size_t>(elementCount(dims)));
  for (double& value : values) value = first++;
  return floats(std::move(dims), values);
}

}  // namespace carnot::test
