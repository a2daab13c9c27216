#pragma once

// How an engine that is loaded is checked, behind validateEngine() of engine.h.

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"

namespace carnot {

// Of one engine or body: whatever runs it may rely on what has been checked here.
class Validator {
 public:
  // `weights`: of the outermost engine.
  Validator(const EngineData& engine, const std::vector<EngineWeight>& weights, int depth = 0)
      : engine_(engine), weights_(weights), symbols_(engine.symbols.size()), depth_(depth) {}

  void validate();

 private:
  using Kind = EngineTensor::Kind;

  [[noreturn]] static void refuse(std::string has, std::string needs);
  // For messages that cost nothing when all is well; others are made behind an if.
  static void require(bool condition, const char* has, const char* needs) {
    if (!condition) refuse(has, needs);
  }

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

  // validate_tensors.cpp: weights, and each tensor by its kind.
  static void checkWeight(const EngineWeight& weight);
  void checkTensor(const EngineTensor& tensor) const;
  std::vector<int64_t> fixedDims(const EngineTensor& tensor) const;
  void checkConstant(const EngineTensor& tensor) const;
  void checkShapeTensor(const EngineTensor& tensor) const;

  // validate.cpp: what the engine takes and gives, and its symbols.
  void checkNames(const std::vector<int32_t>& indices, const char* what) const;
  void checkSignature() const;
  void checkSymbols() const;
  void checkFound(const EngineSymbol& symbol, int32_t index) const;
  void checkProfile(const EngineProfile& profile) const;

  // validate_steps.cpp: what each step reads and writes, in order.
  void checkSteps() const;
  size_t inputSymbols() const;
  size_t foundBy(const EngineStep& step, size_t first) const;
  bool isKnown(const DimProgram& program, size_t known) const;
  void checkKnown(const EngineStep& step, size_t known) const;
  void checkStep(const EngineStep& step, std::vector<char>& defined,
                 std::vector<char>& written) const;
  bool isTunedAt(const EngineStep::Variant& variant, bool alone) const;
  void checkControl(const EngineStep& step) const;
  void checkBody(const EngineStep& step, const EngineData& body, bool loop) const;

  const EngineData& engine_;
  const std::vector<EngineWeight>& weights_;
  size_t symbols_;
  int depth_;
};

}  // namespace carnot
