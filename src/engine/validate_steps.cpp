#include <algorithm>

#include "engine/validator.h"

namespace carnot {

void Validator::checkSteps() const {
  size_t count = engine_.tensors.size();
  std::vector<char> defined(count), written(count);
  for (size_t i = 0; i < count; ++i) {
    Kind kind = engine_.tensors[i].kind;
    defined[i] = kind != Kind::Activation && kind != Kind::Output && kind != Kind::Packed &&
                 kind != Kind::Found;
  }
  size_t known = inputSymbols();
  for (const EngineStep& step : engine_.steps)
    within("step", step.name, [&] {
      checkStep(step, defined, written);
      checkKnown(step, known);
      known += foundBy(step, known);
    });
  require(known == symbols_, "symbols that no step finds, or not in the steps' order",
          "the order of the steps");
  for (int32_t index : engine_.outputs) {
    const EngineTensor& tensor = engine_.tensors[index];
    int32_t source = tensor.kind == Kind::Output && tensor.viewOf >= 0 ? tensor.viewOf : index;
    if (!defined[rootOf(source)])
      refuse(fmt::format("output {} that no step writes", tensor.name), "a step that does");
  }
}

size_t Validator::inputSymbols() const {
  size_t count = 0;
  while (count < symbols_ && engine_.symbols[count].tensor < 0) ++count;
  return count;
}

// How many symbols, from `first` on, are dims of the step's outputs.
size_t Validator::foundBy(const EngineStep& step, size_t first) const {
  size_t count = 0;
  while (first + count < symbols_ && std::count(step.outputs.begin(), step.outputs.end(),
                                                engine_.symbols[first + count].tensor))
    ++count;
  return count;
}

bool Validator::isKnown(const DimProgram& program, size_t known) const {
  for (size_t i = 0; i < program.code.size(); i += 2)
    if (program.code[i] == static_cast<int64_t>(DimOp::Symbol) &&
        static_cast<size_t>(program.code[i + 1]) >= known)
      return false;
  return true;
}

// A step sees tensors of which all is known: dims, contents, place.
void Validator::checkKnown(const EngineStep& step, size_t known) const {
  auto check = [&](int32_t index) {
    const EngineTensor& tensor = engine_.tensors[index];
    auto holds = [&](const DimProgram& program) { return isKnown(program, known); };
    bool all =
        std::ranges::all_of(tensor.dims, holds) && std::ranges::all_of(tensor.contents, holds);
    if (tensor.kind == Kind::Activation && tensor.viewOf >= 0)
      all = all && holds(tensor.viewOffset) &&
            std::ranges::all_of(engine_.tensors[tensor.viewOf].dims, holds);
    if (!all)
      refuse(fmt::format("tensor {} before its dims are known", tensor.name),
             "a later place for the step");
  };
  for (const auto* list : {&step.inputs, &step.regionInputs})
    for (int32_t index : *list)
      if (index >= 0) check(index);
  for (int32_t index : step.outputs)
    if (engine_.tensors[index].kind != Kind::Found) check(index);
}

void Validator::checkStep(const EngineStep& step, std::vector<char>& defined,
                          std::vector<char>& written) const {
  for (int32_t index : step.regionInputs)
    require(index == -1 || isTensor(index), "a region input beyond the last tensor", "an index");
  for (int32_t index : step.inputs) {
    if (index == -1) continue;
    require(isTensor(index), "an input beyond the last tensor", "a tensor's index");
    if (!defined[rootOf(index)])
      refuse(fmt::format("input {} that nothing defined", engine_.tensors[index].name),
             "an input that an earlier step writes");
  }
  require(!step.outputs.empty(), "no output", "one or more");
  for (int32_t index : step.outputs) {
    require(isTensor(index), "an output beyond the last tensor", "a tensor's index");
    const EngineTensor& tensor = engine_.tensors[index];
    const EngineTensor& root = engine_.tensors[rootOf(index)];
    require((tensor.kind == Kind::Found) == (engine_.tensors[step.outputs[0]].kind == Kind::Found),
            "outputs of dims found by running beside others", "all or none");
    require(tensor.kind == Kind::Found || step.control == EngineStep::Control::None,
            "an output of control that is placed before it runs", "dims found by running");
    if (tensor.kind != Kind::Found && root.kind != Kind::Activation && root.kind != Kind::State &&
        (root.kind != Kind::Output || root.viewOf >= 0))
      refuse(fmt::format("output {} in memory that is read only", tensor.name),
             "an activation, an output or a state");
    if (written[index])
      refuse(fmt::format("output {} that is written twice", tensor.name), "one writer");
    written[index] = 1;
    defined[rootOf(index)] = 1;
  }
  if (step.control != EngineStep::Control::None) return checkControl(step);
  require(step.bodies.empty(), "bodies without control", "none");
  require(!step.variants.empty(), "no kernel", "one variant or more");
  for (const EngineStep::Variant& variant : step.variants) {
    require(!variant.kernel.empty(), "a kernel without a name", "a name");
    for (int32_t weight : variant.weights)
      require(isWeight(weight), "a weight section beyond the last", "a section's index");
    if (!isTunedAt(variant, step.variants.size() == 1))
      refuse(fmt::format("a variant tuned at {} values", variant.tunedAt.size()),
             fmt::format("a multiple of {} symbols, not 0", symbols_));
  }
}

bool Validator::isTunedAt(const EngineStep::Variant& variant, bool alone) const {
  if (symbols_ == 0) return variant.tunedAt.empty();
  return variant.tunedAt.size() % symbols_ == 0 && (alone || !variant.tunedAt.empty());
}

void Validator::checkControl(const EngineStep& step) const {
  const bool loop = step.control == EngineStep::Control::Loop;
  require(step.variants.empty() && step.regionInputs.empty() && step.region.empty(),
          "control with a kernel", "bodies alone");
  const size_t bodies = loop ? 1 : 2, fixed = loop ? 2 : 1;
  if (step.bodies.size() != bodies || step.inputs.size() < fixed)
    refuse(fmt::format("{} bodies and {} inputs", step.bodies.size(), step.inputs.size()),
           fmt::format("{} and at least {}", bodies, fixed));
  const auto carried = static_cast<size_t>(step.carried);
  require(step.carried >= 0 && (loop || carried == 0) &&
              carried <= std::min(step.inputs.size() - fixed, step.outputs.size()),
          "more carried tensors than inputs or outputs", "an input and an output for each");
  auto isScalar = [&](int32_t index, DType dtype) {
    const EngineTensor& tensor = engine_.tensors[index];
    return tensor.dtype == dtype && std::ranges::all_of(tensor.dims, [](const DimProgram& dim) {
             return dim.constant() == 1;
           });
  };
  if (loop)
    require(step.inputs[0] < 0 || isScalar(step.inputs[0], DType::I64),
            "a trip count of another type", "one int64");
  const int32_t condition = step.inputs[fixed - 1];
  require(condition < 0 ? loop : isScalar(condition, DType::Bool), "a condition of another type",
          "one bool");
  for (int32_t index : step.bodies) {
    require(index >= 0 && static_cast<size_t>(index) < engine_.bodies.size(),
            "a body beyond the last", "a body's index");
    checkBody(step, engine_.bodies[index], loop);
  }
}

// What goes in and out of a body, by type and rank; dims are compared as it runs.
void Validator::checkBody(const EngineStep& step, const EngineData& body, bool loop) const {
  const size_t own = loop ? 2 : 1, given = step.inputs.size() - own;
  const size_t first = loop ? 2 : 0, outputs = loop ? 1 : 0;
  if (body.inputs.size() != first + given || body.outputs.size() != outputs + step.outputs.size())
    refuse(
        fmt::format("a body of {} inputs and {} outputs", body.inputs.size(), body.outputs.size()),
        "those of the step");
  auto same = [&](int32_t inner, int32_t outer, size_t added) {
    const EngineTensor &a = body.tensors[inner], &b = engine_.tensors[outer];
    if (a.dtype != b.dtype || a.dims.size() + added != b.dims.size())
      refuse(fmt::format("tensor {} of a body, of another type than {}", a.name, b.name),
             "the same type and rank");
  };
  auto scalar = [&](int32_t inner, DType dtype) {
    const EngineTensor& tensor = body.tensors[inner];
    if (tensor.dtype != dtype || !std::ranges::all_of(tensor.dims, [](const DimProgram& dim) {
          return dim.constant() == 1;
        }))
      refuse(fmt::format("tensor {} of a body", tensor.name),
             fmt::format("one {}", dtypeName(dtype)));
  };
  if (loop) {
    scalar(body.inputs[0], DType::I64);
    scalar(body.inputs[1], DType::Bool);
    scalar(body.outputs[0], DType::Bool);
  }
  const auto carried = static_cast<size_t>(step.carried);
  for (size_t i = 0; i < given; ++i) {
    require(step.inputs[own + i] >= 0, "a body's input left out", "a tensor");
    same(body.inputs[first + i], step.inputs[own + i], 0);
  }
  for (size_t i = 0; i < step.outputs.size(); ++i)
    same(body.outputs[outputs + i], step.outputs[i], loop && i >= carried ? 1 : 0);
  for (size_t i = 0; i < carried; ++i) same(body.outputs[outputs + i], step.inputs[own + i], 0);
}

}  // namespace carnot
