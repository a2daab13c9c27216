#include "frontend/onnx/item.h"

#include "frontend/onnx/emit.h"
#include "ops/concat.h"
#include "ops/shape_of.h"

namespace carnot::onnx {

using Kind = Item::Kind;

Item Item::sequence(DType dtype, std::vector<Value*> tensors) {
  Item item{.kind = Kind::Sequence, .dtype = dtype};
  for (size_t i = 0; i < tensors.size(); ++i) {
    const size_t rank = tensors[i]->type.shape.rank();
    if (i == 0) item.rank = rank;
    if (item.rank != rank) item.rank.reset();
  }
  item.parts = std::move(tensors);
  return item;
}

Item Item::packed(DType dtype, std::optional<size_t> rank, std::vector<Value*> parts) {
  return {.kind = Kind::Sequence,
          .dtype = dtype,
          .rank = rank,
          .isPacked = true,
          .parts = std::move(parts)};
}

Item Item::optional(Value* present, std::optional<Item> held) {
  Item item{.kind = Kind::Optional, .present = present};
  if (held) item.held = std::make_shared<const Item>(std::move(*held));
  return item;
}

const char* Item::kindName() const {
  constexpr const char* kNames[] = {"a tensor", "a sequence", "an optional"};
  return kNames[static_cast<size_t>(kind)];
}

std::vector<Value*> valuesOf(const Item& item) {
  std::vector<Value*> values;
  rebuilt(item, [&](Value* value) {
    values.push_back(value);
    return value;
  });
  return values;
}

Value* requireTensor(const Item& item, const std::string& what) {
  if (!item.isTensor())
    throw Error(ErrorCode::InvalidModel, fmt::format("{} is {}", what, item.kindName()),
                "a tensor");
  return item.tensor;
}

Item commonForm(const Item& a, const Item& b) {
  if (a.kind == Kind::Optional || b.kind == Kind::Optional) {
    const Item* held[] = {a.kind == Kind::Optional ? a.held.get() : &a,
                          b.kind == Kind::Optional ? b.held.get() : &b};
    Value* any = a.kind == Kind::Optional ? a.present : b.present;
    if (!held[0] && !held[1]) return Item::optional(any, std::nullopt);
    if (!held[0] || !held[1]) return Item::optional(any, held[0] ? *held[0] : *held[1]);
    return Item::optional(any, commonForm(*held[0], *held[1]));
  }
  if (a.kind != b.kind)
    refuse(fmt::format("{} and {} for one name", a.kindName(), b.kindName()), "one kind");
  if (a.isTensor()) {
    if (!a.tensor || !b.tensor) refuse("a tensor left out in one case", "one in every case");
    return a;
  }
  // What is empty has tensors of any rank.
  const bool aEmpty = !a.isPacked && a.parts.empty(), bEmpty = !b.isPacked && b.parts.empty();
  if (a.dtype != b.dtype)
    refuse(fmt::format("sequences of {} and {}", dtypeName(a.dtype), dtypeName(b.dtype)),
           "one element type");
  bool alike = !a.isPacked && !b.isPacked && a.parts.size() == b.parts.size();
  for (size_t i = 0; alike && i < a.parts.size(); ++i)
    alike = a.parts[i]->type.shape.rank() == b.parts[i]->type.shape.rank();
  if (alike) return a;
  Item form{.kind = Kind::Sequence, .dtype = a.dtype, .isPacked = true};
  form.rank = aEmpty ? b.rank : bEmpty || a.rank == b.rank ? a.rank : std::nullopt;
  return form;
}

bool sameForm(const Item& a, const Item& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::Tensor:
      return true;
    case Kind::Sequence:
      return a.isPacked == b.isPacked && (a.isPacked || a.parts.size() == b.parts.size()) &&
             a.rank == b.rank;
    case Kind::Optional:
      return !a.held == !b.held && (!a.held || sameForm(*a.held, *b.held));
  }
  return false;
}

namespace {

// What an optional holds where it holds nothing: an empty tensor or sequence.
Item placeholder(const Item& form, Target& target, const std::string& name) {
  if (form.kind == Kind::Sequence) {
    Item empty{.kind = Kind::Sequence, .dtype = form.dtype};
    return form.isPacked ? packed(empty, target, name) : rebuilt(form, [&](Value* value) {
      return placeholder(Item::of(value), target, name).tensor;
    });
  }
  const TensorType& type = form.tensor->type;
  std::vector<int64_t> dims;
  for (const Dim& dim : type.shape) dims.push_back(dim.tryConstant().value_or(0));
  const int64_t count = elementCount(dims);
  Tensor zeros(type.dtype, std::move(dims));
  for (int64_t i = 0; i < count; ++i) zeros.view().storeDouble(i, 0);
  return Item::of(target.maker.constant(name, std::move(zeros)));
}

}  // namespace

Item inForm(const Item& form, const Item& item, Target& target, const std::string& name) {
  if (form.kind == Kind::Optional) {
    const bool isOptional = item.kind == Kind::Optional;
    Value* present =
        isOptional ? item.present : target.maker.constant(name, Tensor::scalar(DType::Bool, 1));
    if (!form.held) return Item::optional(present, std::nullopt);
    const Item* held = isOptional ? item.held.get() : &item;
    return Item::optional(
        scalarOf(target, name, present),
        held ? inForm(*form.held, *held, target, name) : placeholder(*form.held, target, name));
  }
  if (form.kind == Kind::Sequence && form.isPacked) {
    Item all = packed(item, target, name);
    all.rank = form.rank;
    return all;
  }
  return item;
}

Item packed(const Item& sequence, Target& target, const std::string& name) {
  if (sequence.isPacked) return sequence;
  std::vector<Value*> elements, dims;
  std::vector<int64_t> ranks;
  for (Value* tensor : sequence.parts) {
    const Shape& shape = tensor->type.shape;
    ranks.push_back(static_cast<int64_t>(shape.rank()));
    elements.push_back(
        shape.rank() == 1
            ? tensor
            : emitOne(target, name, Operator::of(Reshape{Shape{shape.elementCount()}}), {tensor}));
    if (shape.rank() > 0)
      dims.push_back(emitOne(target, name, Operator::of(ShapeOf{0, ranks.back()}), {tensor}));
  }
  auto joined = [&](std::vector<Value*> parts, DType dtype) {
    if (parts.empty()) return target.maker.constant(name, Tensor(dtype, std::vector<int64_t>{0}));
    if (parts.size() == 1) return parts[0];
    return emitOne(target, name, Operator::of(Concat{0}), std::move(parts));
  };
  const auto count = static_cast<int64_t>(ranks.size());
  return Item::packed(
      sequence.dtype, sequence.rank,
      {joined(std::move(elements), sequence.dtype), joined(std::move(dims), DType::I64),
       target.maker.constant(name, Tensor::ofInts({count}, ranks))});
}

}  // namespace carnot::onnx
