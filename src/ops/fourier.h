#pragma once

#include <complex>
#include <cstddef>
#include <vector>

namespace carnot {

// The discrete Fourier transform of one length: sum over t of x[t] * exp(-2 pi i t k / n), or with
// + and divided by n for the inverse. Splits n by its prime factors (Cooley and Tukey, 1965).
class Fourier {
 public:
  Fourier(size_t n, bool inverse);
  std::vector<std::complex<double>> operator()(const std::vector<std::complex<double>>& x) const;

 private:
  void transform(const std::complex<double>* x, size_t stride, size_t n,
                 std::complex<double>* out) const;

  size_t n_;
  bool inverse_;
  std::vector<std::complex<double>> roots_;  // the n-th roots of 1, in order
};

}  // namespace carnot
