#include "ops/operator.h"

#include <carnot/names.h>

#include "base/error.h"
#include "base/hash.h"
#include "ops/text_cursor.h"

namespace carnot {

std::string TensorType::toString() const {
  return std::string(dtypeName(dtype)) + shape.toString();
}

std::string_view Operator::name() const {
  return definition_ ? definition_->name : std::string_view{};
}

FieldMap Operator::fields() const {
  return definition_ ? definition_->fieldsOf(attributes_.get()) : FieldMap{};
}

uint64_t Operator::hash() const { return hashCombine(hash64(name()), hashFields(fields())); }

bool operator==(const Operator& a, const Operator& b) {
  if (a.definition_ != b.definition_) return false;
  return a.attributes_ == b.attributes_ || fieldsEqual(a.fields(), b.fields());
}

std::string Operator::toString() const {
  if (!definition_) return "";
  std::string text;
  FieldMap defaults = definition_->make({}).fields();
  for (const auto& [field, value] : fields()) {
    FieldMap here{{field, value}}, there{{field, defaults.at(field)}};
    if (fieldsEqual(here, there)) continue;
    text += (text.empty() ? "" : ", ") + field + "=" + fieldToString(value);
  }
  return std::string(name()) + (text.empty() ? "" : "{" + text + "}");
}

Operator parseOperator(TextCursor& cursor) {
  std::string name(cursor.identifier());
  const OpDef* definition = findOperator(name);
  if (!definition) {
    std::vector<std::string> known;
    for (const OpDef* row : allOperators()) known.emplace_back(row->name);
    std::string near = closest(name, known);
    throw Error(ErrorCode::InvalidArgument, fmt::format("operator \"{}\"", name),
                "the name of an operator",
                near.empty() ? "" : fmt::format("did you mean {}?", near));
  }
  FieldMap fields;
  if (cursor.take('{') && !cursor.take('}')) {
    FieldMap defaults = definition->make({}).fields();
    do {
      std::string field(cursor.identifier());
      auto like = defaults.find(field);
      if (like == defaults.end())
        throw Error(ErrorCode::InvalidArgument, fmt::format("{} has no field \"{}\"", name, field));
      cursor.expect('=');
      if (!fields.emplace(field, cursor.field(like->second)).second)
        throw Error(ErrorCode::InvalidArgument, fmt::format("field \"{}\" twice", field));
    } while (cursor.take(','));
    cursor.expect('}');
  }
  return definition->make(fields);
}

Operator Operator::parse(std::string_view text) {
  TextCursor cursor(text);
  Operator op = parseOperator(cursor);
  cursor.expectEnd();
  return op;
}

const TensorType& InferContext::type(size_t i) const {
  if (!has(i))
    throw Error(ErrorCode::InvalidModel, fmt::format("input {} is absent", i), "that input");
  return *inputs[i].type;
}

std::optional<std::vector<Dim>> InferContext::contentsOf(size_t i) const {
  if (!has(i)) return std::nullopt;
  if (inputs[i].contents) return *inputs[i].contents;
  const Tensor* constant = inputs[i].constant;
  if (!constant || constant->count() > kMaxContents) return std::nullopt;
  if (!isInteger(constant->dtype()) && constant->dtype() != DType::Bool) return std::nullopt;
  std::vector<int64_t> values = constant->toInts();
  return std::vector<Dim>(values.begin(), values.end());
}

void InferContext::requireEqual(const Dim& a, const Dim& b, std::string_view what) {
  switch (compare(a, b)) {
    case Equality::Yes:
      return;
    case Equality::Unknown:
      guards.push_back({a, b, std::string(what)});
      return;
    case Equality::No:
      throw Error(ErrorCode::InvalidModel,
                  fmt::format("{}: {} and {}", what, a.toString(), b.toString()),
                  "equal dimensions");
  }
}

void InferContext::require(bool condition, std::string_view has, std::string_view needs) const {
  if (!condition) throw Error(ErrorCode::InvalidModel, std::string(has), std::string(needs));
}

void InferContext::requireSameDType(size_t i, size_t j) const {
  if (dtype(i) == dtype(j)) return;
  throw Error(ErrorCode::InvalidModel,
              fmt::format("input {} of type {} and input {} of type {}", i, dtypeName(dtype(i)), j,
                          dtypeName(dtype(j))),
              "the same type");
}

Shape broadcastShapes(InferContext& context, const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  size_t offset = longer.rank() - shorter.rank();
  Shape out = longer;
  for (size_t axis = 0; axis < shorter.rank(); ++axis) {
    const Dim& x = longer[offset + axis];
    const Dim& y = shorter[axis];
    if (y == Dim(1)) continue;
    if (x == Dim(1)) {
      out[offset + axis] = y;
      continue;
    }
    if (compare(x, y) == Equality::No)
      throw Error(
          ErrorCode::InvalidModel, fmt::format("shapes {} and {}", a.toString(), b.toString()),
          fmt::format("shapes that broadcast; {} and {} do not", x.toString(), y.toString()));
    context.requireEqual(x, y, "broadcast dimensions");
    if (y.isConstant() || (!x.isConstant() && !x.asSymbol() && y.asSymbol()))
      out[offset + axis] = y;
  }
  return out;
}

double CostContext::elements(size_t output) const {
  return static_cast<double>(elementCount(outputs[output].shape.concrete()));
}

double CostContext::allBytes() const {
  double total = 0;
  auto add = [&](const TensorType& type) {
    total += static_cast<double>(dtypeBytes(type.dtype, elementCount(type.shape.concrete())));
  };
  for (const TensorType& type : inputs) add(type);
  for (const TensorType& type : outputs) add(type);
  return total;
}

}  // namespace carnot
