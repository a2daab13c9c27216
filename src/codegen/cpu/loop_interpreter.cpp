#include "codegen/cpu/loop_interpreter.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "base/convert.h"
#include "base/error.h"
#include "base/tensor.h"
#include "codegen/cpu/loop_programs.h"
#include "ops/scalar_numbers.h"

namespace carnot {
namespace {

using Place = Loop::Place;

constexpr int64_t kBlock = 256;
constexpr size_t kColumnBytes = kBlock * 8;

// One value of a program over a block: float, double or int64 by its type.
struct Column {
  void* data;
  DType type;
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Calls fn<T>() with the type that holds elements of `type`.
template <typename Fn>
void withHeld(DType type, Fn&& fn) {
  if (type == DType::F64) return fn.template operator()<double>();
  if (isFloat(type)) return fn.template operator()<float>();
  fn.template operator()<int64_t>();
}

template <typename T>
T loadOne(const char* from, DType type) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == DType::F32) {
      float value;
      std::memcpy(&value, from, sizeof value);
      return value;
    }
  }
  const TensorView view{const_cast<char*>(from), type, {}};
  if constexpr (std::is_integral_v<T>)
    return type == DType::Bool ? view.loadBool(0) : view.loadInt(0);
  else
    return static_cast<T>(view.loadDouble(0));
}

template <typename T>
void storeOne(char* to, DType type, T value) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == DType::F32) {
      std::memcpy(to, &value, sizeof value);
      return;
    }
  }
  const TensorView view{to, type, {}};
  if constexpr (std::is_integral_v<T>)
    view.storeInt(0, value);
  else
    view.storeDouble(0, value);
}

// One primitive over `count` elements.
class Primitive {
 public:
  Primitive(const ScalarNode& node, Column out, std::array<Column, 3> in, int64_t count)
      : node_(node), out_(out), in_(in), count_(count) {}

  void run() const {
    const DType from = in_[0].type;
    switch (node_.op) {
      case ScalarOp::Select:
        return withHeld(node_.dtype, [&]<typename T>() { select<T>(); });
      case ScalarOp::Cast:
        return withHeld(from, [&]<typename From>() {
          withHeld(node_.dtype, [&]<typename To>() { cast<From, To>(); });
        });
      case ScalarOp::Bitcast:
        return bitcast();
      default:
        break;
    }
    if (!isFloat(from)) return integers();
    if (from == DType::F64) return reals<double>();
    reals<float>();
  }

 private:
  template <typename From, typename To>
  void map1(auto fn) const {
    const From* a = in_[0].as<From>();
    To* out = out_.as<To>();
    for (int64_t i = 0; i < count_; ++i) out[i] = static_cast<To>(fn(a[i]));
  }
  template <typename From, typename To>
  void map2(auto fn) const {
    const From *a = in_[0].as<From>(), *b = in_[1].as<From>();
    To* out = out_.as<To>();
    for (int64_t i = 0; i < count_; ++i) out[i] = static_cast<To>(fn(a[i], b[i]));
  }

  template <typename T>
  void select() const {
    const int64_t* condition = in_[0].as<int64_t>();
    const T *a = in_[1].as<T>(), *b = in_[2].as<T>();
    T* out = out_.as<T>();
    for (int64_t i = 0; i < count_; ++i) out[i] = condition[i] ? a[i] : b[i];
  }

  template <typename From, typename To>
  void cast() const {
    const DType to = node_.dtype, from = in_[0].type;
    if constexpr (std::is_integral_v<To> && std::is_integral_v<From>)
      map1<From, To>([&](From x) { return scalar::wrapped(to, x); });
    else if constexpr (std::is_integral_v<To>)
      map1<From, To>([&](From x) { return scalar::toInteger(to, x); });
    else if constexpr (std::is_integral_v<From>)
      map1<From, To>([&](From x) { return scalar::roundTo(to, from, x); });
    else if (to == DType::F32 || to == DType::F64)
      map1<From, To>([](From x) { return x; });
    else
      map1<From, To>([&](From x) { return scalar::roundTo(to, x); });
  }

  void bitcast() const {
    char bytes[8];
    withHeld(in_[0].type, [&]<typename From>() {
      withHeld(node_.dtype, [&]<typename To>() {
        map1<From, To>([&](From x) {
          storeOne(bytes, in_[0].type, x);
          return loadOne<To>(bytes, node_.dtype);
        });
      });
    });
  }

  void integers() const {
    const DType type = node_.dtype, from = in_[0].type;
    auto each1 = [&](auto fn) {
      map1<int64_t, int64_t>([&](int64_t a) { return scalar::wrapped(type, fn(a)); });
    };
    auto each2 = [&](auto fn) {
      map2<int64_t, int64_t>([&](int64_t a, int64_t b) { return scalar::wrapped(type, fn(a, b)); });
    };
    auto ring = [](int64_t a) { return static_cast<uint64_t>(a); };
    switch (node_.op) {
      case ScalarOp::Add:
        return each2([&](int64_t a, int64_t b) { return static_cast<int64_t>(ring(a) + ring(b)); });
      case ScalarOp::Sub:
        return each2([&](int64_t a, int64_t b) { return static_cast<int64_t>(ring(a) - ring(b)); });
      case ScalarOp::Mul:
        return each2([&](int64_t a, int64_t b) { return static_cast<int64_t>(ring(a) * ring(b)); });
      case ScalarOp::Fma: {
        const int64_t *a = in_[0].as<int64_t>(), *b = in_[1].as<int64_t>(),
                      *c = in_[2].as<int64_t>();
        for (int64_t i = 0; i < count_; ++i)
          out_.as<int64_t>()[i] =
              scalar::wrapped(type, static_cast<int64_t>(ring(a[i]) * ring(b[i]) + ring(c[i])));
        return;
      }
      case ScalarOp::Div:
        return each2([&](int64_t a, int64_t b) { return scalar::divide(type, a, b); });
      case ScalarOp::FloorMod:
        return each2([&](int64_t a, int64_t b) { return scalar::floorMod(type, a, b); });
      case ScalarOp::TruncMod:
        return each2([&](int64_t a, int64_t b) { return scalar::truncMod(type, a, b); });
      case ScalarOp::Pow:
        return each2([&](int64_t a, int64_t b) { return scalar::power(type, a, b); });
      case ScalarOp::Min:
        return each2([&](int64_t a, int64_t b) { return scalar::less(type, a, b) ? a : b; });
      case ScalarOp::Max:
        return each2([&](int64_t a, int64_t b) { return scalar::less(type, b, a) ? a : b; });
      case ScalarOp::Neg:
        return each1([&](int64_t a) { return static_cast<int64_t>(0 - ring(a)); });
      case ScalarOp::Abs:
        return each1([&](int64_t a) {
          return isSigned(type) && a < 0 ? static_cast<int64_t>(0 - ring(a)) : a;
        });
      case ScalarOp::Equal:
        return each2([](int64_t a, int64_t b) { return int64_t{a == b}; });
      case ScalarOp::Less:
        return each2([&](int64_t a, int64_t b) { return int64_t{scalar::less(from, a, b)}; });
      case ScalarOp::LessEqual:
        return each2([&](int64_t a, int64_t b) { return int64_t{!scalar::less(from, b, a)}; });
      case ScalarOp::And:
      case ScalarOp::BitAnd:
        return each2([](int64_t a, int64_t b) { return a & b; });
      case ScalarOp::Or:
      case ScalarOp::BitOr:
        return each2([](int64_t a, int64_t b) { return a | b; });
      case ScalarOp::Xor:
      case ScalarOp::BitXor:
        return each2([](int64_t a, int64_t b) { return a ^ b; });
      case ScalarOp::Not:
        return each1([](int64_t a) { return int64_t{a == 0}; });
      case ScalarOp::BitNot:
        return each1([](int64_t a) { return ~a; });
      case ScalarOp::ShiftLeft:
        return each2([&](int64_t a, int64_t b) { return scalar::shiftLeft(type, a, b); });
      case ScalarOp::ShiftRight:
        return each2([&](int64_t a, int64_t b) { return scalar::shiftRight(type, a, b); });
      default:
        throwInternal(fmt::format("{} of integers", scalarOpName(node_.op)));
    }
  }

  template <typename T>
  void reals() const {
    auto each1 = [&](auto fn) { map1<T, T>(fn); };
    auto each2 = [&](auto fn) { map2<T, T>(fn); };
    switch (node_.op) {
      case ScalarOp::Add:
        return each2([](T a, T b) { return a + b; });
      case ScalarOp::Sub:
        return each2([](T a, T b) { return a - b; });
      case ScalarOp::Mul:
        return each2([](T a, T b) { return a * b; });
      case ScalarOp::Div:
        return each2([](T a, T b) { return a / b; });
      case ScalarOp::Fma: {
        const T *a = in_[0].as<T>(), *b = in_[1].as<T>(), *c = in_[2].as<T>();
        for (int64_t i = 0; i < count_; ++i) out_.as<T>()[i] = std::fma(a[i], b[i], c[i]);
        return;
      }
      case ScalarOp::FloorMod:
        return each2([](T a, T b) { return static_cast<T>(scalar::floorMod(a, b)); });
      case ScalarOp::TruncMod:
        return each2([](T a, T b) { return std::fmod(a, b); });
      case ScalarOp::Pow:
        return each2([](T a, T b) { return std::pow(a, b); });
      case ScalarOp::Min:
        return each2([](T a, T b) { return a < b ? a : b; });
      case ScalarOp::Max:
        return each2([](T a, T b) { return a > b ? a : b; });
      case ScalarOp::Ldexp:
        return each2([](T a, T b) {
          return std::ldexp(a, static_cast<int>(std::clamp(b, T(-5000), T(5000))));
        });
      case ScalarOp::Neg:
        return each1([](T a) { return -a; });
      case ScalarOp::Abs:
        return each1([](T a) { return std::fabs(a); });
      case ScalarOp::Sqrt:
        return each1([](T a) { return std::sqrt(a); });
      case ScalarOp::Reciprocal:
        return each1([](T a) { return 1 / a; });
      case ScalarOp::Floor:
        return each1([](T a) { return std::floor(a); });
      case ScalarOp::Ceil:
        return each1([](T a) { return std::ceil(a); });
      case ScalarOp::RoundEven:
        return each1([](T a) { return std::nearbyint(a); });
      case ScalarOp::Trunc:
        return each1([](T a) { return std::trunc(a); });
      case ScalarOp::Exp:
        return each1([](T a) { return std::exp(a); });
      case ScalarOp::Log:
        return each1([](T a) { return std::log(a); });
      case ScalarOp::Erf:
        return each1([](T a) { return std::erf(a); });
      case ScalarOp::Tanh:
        return each1([](T a) { return std::tanh(a); });
      case ScalarOp::Sigmoid:
        return each1([](T a) {
          const T e = std::exp(-std::fabs(a));
          return (a < 0 ? e : T(1)) / (1 + e);
        });
      case ScalarOp::Sin:
        return each1([](T a) { return std::sin(a); });
      case ScalarOp::Cos:
        return each1([](T a) { return std::cos(a); });
      case ScalarOp::Tan:
        return each1([](T a) { return std::tan(a); });
      case ScalarOp::Asin:
        return each1([](T a) { return std::asin(a); });
      case ScalarOp::Acos:
        return each1([](T a) { return std::acos(a); });
      case ScalarOp::Atan:
        return each1([](T a) { return std::atan(a); });
      case ScalarOp::Sinh:
        return each1([](T a) { return std::sinh(a); });
      case ScalarOp::Cosh:
        return each1([](T a) { return std::cosh(a); });
      case ScalarOp::Asinh:
        return each1([](T a) { return std::asinh(a); });
      case ScalarOp::Acosh:
        return each1([](T a) { return std::acosh(a); });
      case ScalarOp::Atanh:
        return each1([](T a) { return std::atanh(a); });
      case ScalarOp::Equal:
        return map2<T, int64_t>([](T a, T b) { return a == b; });
      case ScalarOp::Less:
        return map2<T, int64_t>([](T a, T b) { return a < b; });
      case ScalarOp::LessEqual:
        return map2<T, int64_t>([](T a, T b) { return a <= b; });
      case ScalarOp::IsNan:
        return map1<T, int64_t>([](T a) { return std::isnan(a); });
      default:
        throwInternal(fmt::format("{} of reals", scalarOpName(node_.op)));
    }
  }

  const ScalarNode& node_;
  Column out_;
  std::array<Column, 3> in_;
  int64_t count_;
};

// Where elements lie: element i of a block is `period` elements long and starts again.
struct Elements {
  char* data = nullptr;
  int64_t stride = 0;
  int64_t period = 0;  // 0: none
  char* at(int64_t i) const { return data + stride * (period ? i % period : i); }
};

class Interpreter final : public LoopFunction {
 public:
  Interpreter(const Loop& loop, const LoopShape::Variant& variant)
      : loop_(loop), variant_(variant) {
    size_t nodes = 0;
    for (const Loop::Pass& pass : loop_.passes) {
      folding_.push_back(foldingProgram(pass, false));
      nodes = std::max({nodes, pass.row.program.nodes.size(), folding_.back().nodes.size()});
    }
    columns_ = nodes;
  }

  int lanes() const override { return kBlock; }
  size_t scratchBytes() const override { return (columns_ + loop_.scalars.size()) * kColumnBytes; }

  void run(const LoopArguments& arguments) const override {
    for (int64_t row = 0; row < arguments.rows; ++row) {
      const int64_t lanes = variant_.alongLanes ? arguments.lanes : 1;
      for (int64_t lane = 0; lane < lanes; lane += kBlock)
        Row{*this, arguments, row, lane, std::min(kBlock, lanes - lane)}.run();
    }
  }

 private:
  // One row, or a block of rows side by side.
  struct Row {
    const Interpreter& self;
    const LoopArguments& arguments;
    int64_t row, lane, lanes;

    const Loop& loop() const { return self.loop_; }
    bool alongLanes() const { return self.variant_.alongLanes; }
    int64_t width() const { return alongLanes() ? lanes : 1; }  // of a row's values

    Column scalar(int index) const {
      char* base = static_cast<char*>(arguments.scratch);
      return {base + (self.columns_ + static_cast<size_t>(index)) * kColumnBytes,
              loop().scalars[index]};
    }

    Elements operandAt(int index, int64_t repeat, int64_t element) const {
      const LoopArguments::Operand& operand = arguments.operands[index];
      Elements elements;
      elements.data = operand.data + row * operand.row + repeat * operand.repeat;
      const int64_t size = dtypeBits(loop().operands[index].dtype) / 8;
      const int64_t period = self.variant_.period[index];
      if (alongLanes()) {
        elements.data += element * operand.element + lane * operand.vector;
        elements.stride = operand.vector;
      } else {
        elements.stride = period == 1 ? 0 : size;
        elements.period = period;
        if (period == 0) elements.data += element * size;  // a block starts a new period
      }
      return elements;
    }

    Elements temporaryAt(int index, int64_t repeat, int64_t element) const {
      const int64_t size = dtypeBits(loop().temporaries[index]) / 8;
      const int64_t step = repeat * arguments.length + element;
      return {static_cast<char*>(arguments.temporaries[index]) +
                  step * size * (alongLanes() ? kBlock : 1),
              size, 0};
    }

    void run() const {
      for (size_t i = 0; i < loop().passes.size(); ++i) {
        const Loop::Pass& pass = loop().passes[i];
        runRow(pass);
        if (!pass.elements.empty()) runElements(pass, self.folding_[i]);
      }
    }

    // The program's nodes; `input` fills the columns of Inputs.
    template <typename Input>
    void evaluate(const ScalarProgram& program, int64_t count, const Input& input) const {
      for (size_t i = 0; i < program.nodes.size(); ++i) {
        const ScalarNode& node = program.nodes[i];
        const Column out = column(program, i);
        if (node.op == ScalarOp::Input) {
          input(node.index, out);
        } else if (node.op == ScalarOp::Constant) {
          withHeld(node.dtype, [&]<typename T>() {
            T value{};
            if (auto* integer = std::get_if<int64_t>(&node.value))
              value = static_cast<T>(*integer);
            else
              value = static_cast<T>(std::get<double>(node.value));
            std::fill_n(out.as<T>(), count, value);
          });
        } else {
          std::array<Column, 3> in{};
          for (int arg = 0; arg < scalarArity(node.op); ++arg)
            in[arg] = column(program, node.args[arg]);
          Primitive(node, out, in, count).run();
        }
      }
    }
    Column column(const ScalarProgram& program, size_t node) const {
      return {static_cast<char*>(arguments.scratch) + node * kColumnBytes,
              program.nodes[node].dtype};
    }

    static void load(Column to, const Elements& from, int64_t count) {
      withHeld(to.type, [&]<typename T>() {
        for (int64_t i = 0; i < count; ++i) to.as<T>()[i] = loadOne<T>(from.at(i), to.type);
      });
    }
    static void store(Column from, const Elements& to, int64_t count) {
      withHeld(from.type, [&]<typename T>() {
        for (int64_t i = 0; i < count; ++i) storeOne(to.at(i), from.type, from.as<T>()[i]);
      });
    }
    // A row's values to each element, or lane by lane.
    void spread(Column to, Column from, int64_t count) const {
      withHeld(to.type, [&]<typename T>() {
        if (alongLanes())
          std::copy_n(from.as<T>(), count, to.as<T>());
        else
          std::fill_n(to.as<T>(), count, *from.as<T>());
      });
    }

    void runRow(const Loop::Pass& pass) const {
      if (pass.row.empty()) return;
      const ScalarProgram& program = pass.row.program;
      evaluate(program, width(), [&](int index, Column to) {
        const Place& place = pass.row.inputs[static_cast<size_t>(index)];
        if (place.kind == Place::Kind::Scalar)
          spread(to, scalar(place.index), width());
        else
          load(to, operandAt(place.index, 0, 0), width());
      });
      for (size_t i = 0; i < program.outputs.size(); ++i) {
        const Place& place = pass.row.outputs[i];
        const Column value = column(program, program.outputs[i]);
        if (place.kind == Place::Kind::Scalar)
          std::memcpy(scalar(place.index).data, value.data, kColumnBytes);
        else
          store(value, operandAt(place.index, 0, 0), width());
      }
    }

    void runElements(const Loop::Pass& pass, const ScalarProgram& program) const {
      for (const auto& fold : pass.folds) {
        const Column total = scalar(fold.scalar);
        const ScalarNode identity = foldIdentity(fold.fold, total.type);
        withHeld(total.type, [&]<typename T>() {
          T value{};
          if (auto* integer = std::get_if<int64_t>(&identity.value))
            value = static_cast<T>(*integer);
          else
            value = static_cast<T>(std::get<double>(identity.value));
          std::fill_n(total.as<T>(), kBlock, value);
        });
      }
      const int64_t step = alongLanes() ? 1 : kBlock;
      for (int64_t repeat = 0; repeat < arguments.repeats; ++repeat)
        for (int64_t element = 0; element < arguments.length; element += step)
          runBlock(pass, program, repeat, element,
                   alongLanes() ? lanes : std::min(step, arguments.length - element));
      for (const auto& fold : pass.folds)
        if (!alongLanes()) foldAcross(fold);
    }

    void runBlock(const Loop::Pass& pass, const ScalarProgram& program, int64_t repeat,
                  int64_t element, int64_t count) const {
      const size_t inputs = pass.elements.inputs.size(), stores = pass.elements.outputs.size();
      evaluate(program, count, [&](int index, Column to) {
        if (static_cast<size_t>(index) >= inputs) {  // what was folded so far, lane by lane
          const int total = pass.folds[static_cast<size_t>(index) - inputs].scalar;
          std::memcpy(to.data, scalar(total).data, kColumnBytes);
          return;
        }
        const Place& place = pass.elements.inputs[static_cast<size_t>(index)];
        if (place.kind == Place::Kind::Scalar)
          spread(to, scalar(place.index), count);
        else
          load(to, at(place, repeat, element), count);
      });
      for (size_t i = 0; i < program.outputs.size(); ++i) {
        const Column value = column(program, program.outputs[i]);
        if (i < stores) {
          store(value, at(pass.elements.outputs[i], repeat, element), count);
          continue;
        }
        const Column total = scalar(pass.folds[i - stores].scalar);
        withHeld(total.type,
                 [&]<typename T>() { std::copy_n(value.as<T>(), count, total.as<T>()); });
      }
    }

    Elements at(const Place& place, int64_t repeat, int64_t element) const {
      return place.kind == Place::Kind::Operand ? operandAt(place.index, repeat, element)
                                                : temporaryAt(place.index, repeat, element);
    }

    // The block's lanes halved into one another.
    void foldAcross(const Loop::Pass::Into& fold) const {
      const Column total = scalar(fold.scalar);
      const ScalarProgram program = foldOf(fold.fold, total.type);
      withHeld(total.type, [&]<typename T>() {
        for (int64_t half = kBlock / 2; half > 0; half /= 2) {
          const Column lower{total.as<T>(), total.type}, upper{total.as<T>() + half, total.type};
          Primitive(program.nodes.back(), lower, {lower, upper, Column{}}, half).run();
        }
      });
    }
  };

  const Loop loop_;
  const LoopShape::Variant variant_;
  std::vector<ScalarProgram> folding_;
  size_t columns_ = 0;
};

}  // namespace

std::shared_ptr<const LoopFunction> interpretLoop(const Loop& loop,
                                                  const LoopShape::Variant& variant) {
  return std::make_shared<Interpreter>(loop, variant);
}

}  // namespace carnot
