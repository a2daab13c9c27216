#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "frontend/onnx/target.h"

namespace carnot::onnx {

// What a name of the model stands for: a tensor, or a sequence or optional, which the graph knows
// only as the tensors that make it up. A sequence whose number of tensors the model tells is those
// tensors; of others ops/packed_sequence.h gives the form.
struct Item {
  enum class Kind : uint8_t { Tensor, Sequence, Optional };
  Kind kind = Kind::Tensor;
  Value* tensor = nullptr;  // Tensor: null where omitted

  DType dtype = DType::F32;               // Sequence: of its elements
  std::optional<size_t> rank = {};        // Sequence: of every tensor, when known
  bool isPacked = false;                  // Sequence: `parts` is elements, dims, ranks
  std::vector<Value*> parts = {};         // Sequence
  Value* present = nullptr;               // Optional: a Bool
  std::shared_ptr<const Item> held = {};  // Optional: null where nothing tells its type

  static Item of(Value* value) { return {.tensor = value}; }
  static Item sequence(DType dtype, std::vector<Value*> tensors);
  static Item packed(DType dtype, std::optional<size_t> rank, std::vector<Value*> parts);
  static Item optional(Value* present, std::optional<Item> held);

  bool isTensor() const { return kind == Kind::Tensor; }
  explicit operator bool() const { return kind != Kind::Tensor || tensor; }
  // "a sequence", for messages.
  const char* kindName() const;
};

// The tensors that make it up, in order; none that are omitted.
std::vector<Value*> valuesOf(const Item& item);
// The same made up of others, which `next` gives in that order.
template <typename Next>
Item rebuilt(const Item& item, Next&& next);

// The tensor; throws Error (InvalidModel) for anything else.
Value* requireTensor(const Item& item, const std::string& what);

// What two items, of two branches or of one iteration and the next, have in common: an item of the
// form that both take; its tensors mean nothing. Throws Error (Unsupported) where there is none.
Item commonForm(const Item& a, const Item& b);
bool sameForm(const Item& a, const Item& b);
// The item in that form, of the target's tensors.
Item inForm(const Item& form, const Item& item, Target& target, const std::string& name);
// A sequence in the form whose length only a run knows.
Item packed(const Item& sequence, Target& target, const std::string& name);

template <typename Next>
Item rebuilt(const Item& item, Next&& next) {
  Item other = item;
  if (other.tensor) other.tensor = next(other.tensor);
  for (Value*& part : other.parts) part = next(part);
  if (other.present) other.present = next(other.present);
  if (other.held) other.held = std::make_shared<const Item>(rebuilt(*item.held, next));
  return other;
}

}  // namespace carnot::onnx
