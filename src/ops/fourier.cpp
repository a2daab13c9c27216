#include "ops/fourier.h"

#include <cmath>
#include <numbers>

namespace carnot {

Fourier::Fourier(size_t n, bool inverse) : n_(n), inverse_(inverse), roots_(n) {
  const double sign = inverse ? 2 : -2;
  for (size_t k = 0; k < n; ++k)
    roots_[k] =
        std::polar(1.0, sign * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n));
}

// `n` elements of x, `stride` apart: transforms of each residue modulo the least prime factor,
// then their sums.
void Fourier::transform(const std::complex<double>* x, size_t stride, size_t n,
                        std::complex<double>* out) const {
  if (n == 1) {
    out[0] = x[0];
    return;
  }
  size_t factor = 2;
  while (factor * factor <= n && n % factor != 0) ++factor;
  if (n % factor != 0) factor = n;
  const size_t part = n / factor, step = n_ / n;
  std::vector<std::complex<double>> parts(n);
  for (size_t i = 0; i < factor; ++i)
    transform(x + i * stride, stride * factor, part, parts.data() + i * part);
  for (size_t k = 0; k < n; ++k) {
    std::complex<double> sum = 0;
    for (size_t i = 0; i < factor; ++i)
      sum += parts[i * part + k % part] * roots_[i * k % n * step];
    out[k] = sum;
  }
}

std::vector<std::complex<double>> Fourier::operator()(
    const std::vector<std::complex<double>>& x) const {
  std::vector<std::complex<double>> out(n_);
  if (n_ == 0) return out;
  transform(x.data(), 1, n_, out.data());
  if (inverse_)
    for (auto& value : out) value /= static_cast<double>(n_);
  return out;
}

}  // namespace carnot
