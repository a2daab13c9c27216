#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carnot {

// An integer expression over named symbols ("batch", "seq"): a sum of products in canonical form,
// with floor-division and max as opaque atoms. Values are immutable and cheap to copy; a constant
// allocates nothing. Symbols stand for integers from 0 to kLargest, a bound past every memory,
// which lets min(seq, INT64_MAX) be seq. Results that overflow 64 bits throw Error (InvalidModel),
// and expressions too large to be a model's throw Error (Unsupported).
class Dim {
 public:
  static constexpr int64_t kLargest = int64_t{1} << 48;

  Dim(int64_t constant = 0) : constant_(constant) {}  // NOLINT: a number is a Dim
  static Dim symbol(std::string name);

  bool isConstant() const { return expr_ == nullptr; }
  // The constant; throws Error (Internal) for a symbolic Dim.
  int64_t constant() const;
  std::optional<int64_t> tryConstant() const;
  // The name when this is exactly one symbol.
  std::optional<std::string> asSymbol() const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  Dim operator-() const { return Dim(0) - *this; }
  // Rounds towards minus infinity. Exact quotients of polynomials by a monomial simplify
  // (6*batch*seq / 2*seq = 3*batch). A divisor of constant 0 throws Error (InvalidModel).
  friend Dim floorDiv(const Dim& a, const Dim& b);
  friend Dim ceilDiv(const Dim& a, const Dim& b);   // -floorDiv(-a, b)
  friend Dim floorMod(const Dim& a, const Dim& b);  // a - b * floorDiv(a, b)
  friend Dim max(const Dim& a, const Dim& b);
  friend Dim min(const Dim& a, const Dim& b);  // -max(-a, -b)

  // Same canonical form: equal for every value of the symbols.
  friend bool operator==(const Dim& a, const Dim& b);
  friend bool operator!=(const Dim& a, const Dim& b) { return !(a == b); }
  // A total order of canonical forms, for maps and printing; not an order of values.
  friend bool operator<(const Dim& a, const Dim& b);
  size_t hash() const;

  // Throws Error (InvalidArgument) for a division by zero, an overflow, or a symbol's value outside
  // [0, kLargest].
  using Lookup = std::function<int64_t(const std::string& symbol)>;
  int64_t evaluate(const Lookup& valueOf) const;
  Dim substitute(const std::map<std::string, Dim>& bySymbol) const;
  void collectSymbols(std::vector<std::string>& out) const;  // appends names not yet in `out`

  // A lower and an upper bound given each symbol's; nullopt where unbounded.
  struct Range {
    std::optional<int64_t> low, high;
  };
  Range range(const std::function<Range(const std::string& symbol)>& rangeOf) const;

  // "3*batch^2*seq + 2", "floordiv(height + 1, 2)", "max(a, b)"; a symbol that is no identifier
  // stands in single quotes. parse takes what toString gives, besides parentheses, ceildiv, mod and
  // min, and throws Error (InvalidArgument) for anything else. parse(d.toString()) == d.
  std::string toString() const;
  static Dim parse(std::string_view text);

  // The expression as a tree for consumers that compile it (the engine's shape programs).
  enum class Kind : uint8_t { Constant, Symbol, Add, Mul, FloorDiv, Max };
  struct Visitor {  // called in postfix order; Add, Mul, FloorDiv, Max take the two values before
    virtual ~Visitor() = default;
    virtual void constant(int64_t value) = 0;
    virtual void symbol(const std::string& name) = 0;
    virtual void apply(Kind kind) = 0;
  };
  void visitPostfix(Visitor& visitor) const;

  struct Expr;  // dim.cpp

 private:
  int64_t constant_ = 0;
  std::shared_ptr<const Expr> expr_;
};

enum class Equality { Yes, No, Unknown };
// No when the difference cannot be zero with every symbol >= 0 (3 against seq + 4); Unknown needs a
// guard that is checked when the shape is set.
Equality compare(const Dim& a, const Dim& b);

}  // namespace carnot
