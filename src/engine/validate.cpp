#include <algorithm>
#include <unordered_set>

#include "base/error.h"
#include "base/shape.h"
#include "engine/engine.h"

namespace carnot {
namespace {

using Kind = EngineTensor::Kind;

constexpr size_t kMaxRank = 64;
constexpr int64_t kMaxThreads = 4096;
constexpr int kMaxNested = 64;

[[noreturn]] void refuse(std::string has, std::string needs) {
  throw Error(ErrorCode::InvalidModel, std::move(has), std::move(needs),
              "the engine is damaged; build it again");
}

// For messages that cost nothing when all is well; others are made behind an if.
void require(bool condition, const char* has, const char* needs) {
  if (!condition) refuse(has, needs);
}

class Validator {
 public:
  // `weights`: of the outermost engine.
  Validator(const EngineData& engine, const std::vector<EngineWeight>& weights, int depth = 0)
      : engine_(engine), weights_(weights), symbols_(engine.symbols.size()), depth_(depth) {}

  void validate() {
    if (depth_ > kMaxNested)
      refuse("bodies within one another", fmt::format("{} at most", kMaxNested));
    if (depth_ > 0 && !(engine_.weights.empty() && engine_.profiles.empty()))
      refuse("a body with weights or profiles of its own", "those of the whole engine");
    if (engine_.meta.threads < 1 || engine_.meta.threads > kMaxThreads)
      refuse(fmt::format("an engine for {} threads", engine_.meta.threads), "1 to 4096");
    for (size_t i = 0; i < engine_.weights.size(); ++i)
      within("weight section", std::to_string(i), [&] { checkWeight(engine_.weights[i]); });
    for (const EngineTensor& tensor : engine_.tensors)
      within("tensor", tensor.name, [&] { checkTensor(tensor); });
    checkSignature();
    checkSymbols();
    for (const EngineProfile& profile : engine_.profiles) checkProfile(profile);
    for (const EngineGuard& guard : engine_.guards) {
      guard.a.validate(symbols_);
      guard.b.validate(symbols_);
    }
    for (size_t i = 0; i < engine_.bodies.size(); ++i)
      within("body", std::to_string(i),
             [&] { Validator(engine_.bodies[i], weights_, depth_ + 1).validate(); });
    checkSteps();
  }

 private:
  template <typename Check>
  static void within(const char* what, const std::string& name, Check check) {
    try {
      check();
    } catch (Error& error) {
      error.within(fmt::format("{} {}", what, name));
      throw;
    }
  }

  bool isTensor(int32_t index) const {
    return index >= 0 && static_cast<size_t>(index) < engine_.tensors.size();
  }
  bool isWeight(int32_t index) const {
    return index >= 0 && static_cast<size_t>(index) < weights_.size();
  }
  // The tensor whose memory this one lies in.
  int32_t rootOf(int32_t index) const {
    const EngineTensor& tensor = engine_.tensors[index];
    return tensor.viewOf >= 0 && tensor.kind == Kind::Activation ? tensor.viewOf : index;
  }

  static void checkWeight(const EngineWeight& weight) {
    for (int64_t dim : weight.dims) require(dim >= 0, "a negative dimension", "0 or more");
    size_t bytes = dtypeBytes(weight.dtype, elementCount(weight.dims));
    if (weight.data.empty() || weight.data.bytes() != bytes)
      refuse(fmt::format("{} bytes", weight.data.empty() ? 0 : weight.data.bytes()),
             fmt::format("{} bytes, as type and dims say", bytes));
  }

  void checkTensor(const EngineTensor& tensor) const {
    if (tensor.dims.size() > kMaxRank)
      refuse(fmt::format("rank {}", tensor.dims.size()), fmt::format("rank {} at most", kMaxRank));
    for (const DimProgram& dim : tensor.dims) dim.validate(symbols_);
    require(tensor.layout.isPlain() || (tensor.dims.size() >= 3 && tensor.layout.block >= 1),
            "a layout over channels", "rank 3 or more and a block of 1 or more");
    require((tensor.weight >= 0) == (tensor.kind == Kind::Constant),
            "a weight on what is no constant, or none on a constant", "one on each constant");
    require(tensor.contents.empty() || tensor.kind == Kind::Shape, "contents",
            "contents on shape tensors only");
    switch (tensor.kind) {
      case Kind::Input:
      case Kind::Output:
      case Kind::State:
        if (!tensor.layout.isPlain())
          refuse("an input, output or state in " + layoutName(tensor.layout), "the plain layout");
        break;
      case Kind::Activation:
      case Kind::Packed:
        break;
      case Kind::Found:
        if (!tensor.layout.isPlain())
          refuse("a tensor of unknown dims in " + layoutName(tensor.layout), "the plain layout");
        break;
      case Kind::Constant:
        checkConstant(tensor);
        break;
      case Kind::Shape:
        checkShapeTensor(tensor);
        break;
    }
    if (tensor.viewOf < 0) return;
    require(tensor.kind == Kind::Activation || tensor.kind == Kind::Output,
            "a view that owns its contents", "an activation or an output");
    require(isTensor(tensor.viewOf), "a view of a tensor beyond the last", "a tensor's index");
    const EngineTensor& base = engine_.tensors[tensor.viewOf];
    require(tensor.kind == Kind::Output || base.viewOf < 0, "a view of a view",
            "a view of a tensor that is none");
    require(base.kind != Kind::Packed, "a view of a tensor without memory", "one that has some");
    require(base.kind != Kind::Output || base.viewOf < 0, "a view of an output that is a copy",
            "a view of what the output copies");
    if (tensor.kind == Kind::Output)
      require(base.layout.isPlain() && base.dtype == tensor.dtype,
              "an output that copies another type or layout", "a copy of its own type, plain");
    else
      tensor.viewOffset.validate(symbols_);
  }

  std::vector<int64_t> fixedDims(const EngineTensor& tensor) const {
    std::vector<int64_t> dims;
    for (const DimProgram& program : tensor.dims) {
      std::optional<int64_t> dim = program.constant();
      require(dim && *dim >= 0, "a constant or shape tensor whose dims vary", "fixed dims");
      dims.push_back(*dim);
    }
    return dims;
  }

  void checkConstant(const EngineTensor& tensor) const {
    require(isWeight(tensor.weight), "a weight section beyond the last", "a section's index");
    const EngineWeight& weight = weights_[tensor.weight];
    size_t bytes = dtypeBytes(tensor.dtype, physicalCount(tensor.layout, fixedDims(tensor)));
    if (weight.dtype != tensor.dtype || weight.data.bytes() != bytes)
      refuse(fmt::format("a weight section of {} bytes of {}", weight.data.bytes(),
                         dtypeName(weight.dtype)),
             fmt::format("{} bytes of {}", bytes, dtypeName(tensor.dtype)));
  }

  void checkShapeTensor(const EngineTensor& tensor) const {
    if (!tensor.layout.isPlain() || (!isInteger(tensor.dtype) && tensor.dtype != DType::Bool))
      refuse(fmt::format("a shape tensor of {}", dtypeName(tensor.dtype)),
             "integers or bool in the plain layout");
    for (const DimProgram& program : tensor.contents) program.validate(symbols_);
    if (static_cast<uint64_t>(elementCount(fixedDims(tensor))) != tensor.contents.size())
      refuse(fmt::format("{} contents", tensor.contents.size()), "one for each element");
  }

  void checkNames(const std::vector<int32_t>& indices, const char* what) const {
    std::unordered_set<std::string_view> names;
    for (int32_t index : indices) {
      const std::string& name = engine_.tensors[index].name;
      if (name.empty() || !names.insert(name).second)
        refuse(fmt::format("{} '{}' twice or unnamed", what, name), "names that differ");
    }
  }

  void checkSignature() const {
    std::vector<int> seen(engine_.tensors.size());
    bool states = false;
    for (int32_t index : engine_.inputs) {
      require(isTensor(index), "an input beyond the last tensor", "a tensor's index");
      const Kind kind = engine_.tensors[index].kind;
      states |= kind == Kind::State;
      require(kind == (states ? Kind::State : Kind::Input),
              "a list of inputs that names another tensor", "inputs, then states");
      require(++seen[index] == 1, "an input listed twice", "each once");
    }
    for (int32_t index : engine_.outputs) {
      require(isTensor(index), "an output beyond the last tensor", "a tensor's index");
      require(engine_.tensors[index].layout.isPlain(), "an output in a blocked layout",
              "the plain layout");
      if (engine_.tensors[index].kind == Kind::Output)
        require(++seen[index] == 1, "an output listed twice", "each once");
    }
    for (size_t i = 0; i < seen.size(); ++i) {
      Kind kind = engine_.tensors[i].kind;
      if (seen[i] != 1 && (kind == Kind::Input || kind == Kind::Output || kind == Kind::State))
        refuse(fmt::format("tensor {} as an input, output or state in no list",
                           engine_.tensors[i].name),
               "every one listed");
    }
    checkNames(engine_.inputs, "input");
    checkNames(engine_.outputs, "output");
  }

  void checkSymbols() const {
    std::unordered_set<std::string_view> names;
    for (size_t i = 0; i < symbols_; ++i) {
      const EngineSymbol& symbol = engine_.symbols[i];
      if (symbol.name.empty() || !names.insert(symbol.name).second)
        refuse(fmt::format("symbol '{}' twice or unnamed", symbol.name), "names that differ");
      if (symbol.tensor >= 0) {
        checkFound(symbol, static_cast<int32_t>(i));
        continue;
      }
      require(i == 0 || engine_.symbols[i - 1].tensor < 0, "a symbol of an input after others",
              "symbols of inputs first");
      if (symbol.input < 0 || static_cast<size_t>(symbol.input) >= engine_.inputs.size())
        refuse(fmt::format("symbol {} of an input beyond the last", symbol.name), "an input");
      const EngineTensor& input = engine_.tensors[engine_.inputs[symbol.input]];
      if (!(symbol.axis >= 0 && static_cast<size_t>(symbol.axis) < input.dims.size() &&
            input.dims[symbol.axis].symbol() == static_cast<int32_t>(i)))
        refuse(fmt::format("symbol {} read off another dimension", symbol.name),
               "an input's dimension that is the symbol");
    }
  }

  void checkFound(const EngineSymbol& symbol, int32_t index) const {
    require(isTensor(symbol.tensor), "a symbol of a tensor beyond the last", "a tensor's index");
    const EngineTensor& tensor = engine_.tensors[symbol.tensor];
    if (!(tensor.kind == Kind::Found && symbol.axis >= 0 &&
          static_cast<size_t>(symbol.axis) < tensor.dims.size() &&
          tensor.dims[symbol.axis].symbol() == index))
      refuse(fmt::format("symbol {} read off another dimension", symbol.name),
             "a dimension that is the symbol, of a tensor whose step finds it");
  }

  void checkProfile(const EngineProfile& profile) const {
    if (profile.symbols.size() != symbols_)
      refuse(fmt::format("a profile of {} ranges", profile.symbols.size()),
             fmt::format("one for each of {} symbols", symbols_));
    for (const EngineProfile::Range& range : profile.symbols)
      if (range.min < 0 || range.opt < range.min || range.max < range.opt)
        refuse(fmt::format("a range of {}, {}, {}", range.min, range.opt, range.max),
               "0 <= min <= opt <= max");
  }

  void checkSteps() const {
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

  size_t inputSymbols() const {
    size_t count = 0;
    while (count < symbols_ && engine_.symbols[count].tensor < 0) ++count;
    return count;
  }

  // How many symbols, from `first` on, are dims of the step's outputs.
  size_t foundBy(const EngineStep& step, size_t first) const {
    size_t count = 0;
    while (first + count < symbols_ && std::count(step.outputs.begin(), step.outputs.end(),
                                                  engine_.symbols[first + count].tensor))
      ++count;
    return count;
  }

  bool isKnown(const DimProgram& program, size_t known) const {
    for (size_t i = 0; i < program.code.size(); i += 2)
      if (program.code[i] == static_cast<int64_t>(DimOp::Symbol) &&
          static_cast<size_t>(program.code[i + 1]) >= known)
        return false;
    return true;
  }

  // A step sees tensors of which all is known: dims, contents, place.
  void checkKnown(const EngineStep& step, size_t known) const {
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

  void checkControl(const EngineStep& step) const {
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
  void checkBody(const EngineStep& step, const EngineData& body, bool loop) const {
    const size_t own = loop ? 2 : 1, given = step.inputs.size() - own;
    const size_t first = loop ? 2 : 0, outputs = loop ? 1 : 0;
    if (body.inputs.size() != first + given || body.outputs.size() != outputs + step.outputs.size())
      refuse(fmt::format("a body of {} inputs and {} outputs", body.inputs.size(),
                         body.outputs.size()),
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

  void checkStep(const EngineStep& step, std::vector<char>& defined,
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
      require(
          (tensor.kind == Kind::Found) == (engine_.tensors[step.outputs[0]].kind == Kind::Found),
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

  bool isTunedAt(const EngineStep::Variant& variant, bool alone) const {
    if (symbols_ == 0) return variant.tunedAt.empty();
    return variant.tunedAt.size() % symbols_ == 0 && (alone || !variant.tunedAt.empty());
  }

  const EngineData& engine_;
  const std::vector<EngineWeight>& weights_;
  size_t symbols_;
  int depth_;
};

}  // namespace

void validateEngine(const EngineData& engine) { Validator(engine, engine.weights).validate(); }

}  // namespace carnot
