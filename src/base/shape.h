#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "base/dim.h"

namespace carnot {

// Dims of known rank. Concrete shapes, where every Dim is a number, travel as std::vector<int64_t>.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<Dim> dims) : dims_(dims) {}
  explicit Shape(std::vector<Dim> dims) : dims_(std::move(dims)) {}
  static Shape of(std::span<const int64_t> dims);

  size_t rank() const { return dims_.size(); }
  const Dim& operator[](size_t axis) const { return dims_[axis]; }
  Dim& operator[](size_t axis) { return dims_[axis]; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }
  const std::vector<Dim>& dims() const { return dims_; }
  void push(Dim dim) { dims_.push_back(std::move(dim)); }

  bool isStatic() const;
  // Every Dim's constant; throws Error (Internal) when one is symbolic.
  std::vector<int64_t> concrete() const;
  std::vector<int64_t> evaluate(const Dim::Lookup& valueOf) const;
  Dim elementCount() const;
  Dim elementCount(size_t first, size_t last) const;  // product of [first, last)
  Shape substitute(const std::map<std::string, Dim>& bySymbol) const;

  friend bool operator==(const Shape&, const Shape&) = default;
  std::string toString() const;  // "[batch, 3, 224, 224]"

 private:
  std::vector<Dim> dims_;
};

// -1 counts from the end. Throws Error (InvalidModel) outside [-rank, rank).
size_t normalizeAxis(int64_t axis, size_t rank);

// Product with overflow checked; throws Error (OutOfMemory).
int64_t elementCount(std::span<const int64_t> dims);

}  // namespace carnot
