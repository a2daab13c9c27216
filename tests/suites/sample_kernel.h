#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/shape.h"
#include "base/threads.h"
#include "kernels/kernel.h"

namespace carnot::testing {

// y = factor * (sum of the inputs), floats, element by element; an input of one element is
// broadcast, an absent one skipped. The factor is the parameters, or the only weight. Works in its
// workspace, so that memory placed over another's shows.
class ScaledSum final : public Kernel {
 public:
  std::string_view name() const override { return "test/scaled_sum"; }
  uint32_t revision() const override { return 2; }
  Support supports(const Problem&) const override { return Refusal{"for hand-written engines"}; }
  Prepared prepare(const Problem&, const Configuration&) const override { return {}; }
  std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const override {
    float factor = 0;
    if (!arguments.weights.empty())
      factor = static_cast<float>(arguments.weights[0].loadDouble(0));
    else if (arguments.parameters.size() == sizeof factor)
      std::memcpy(&factor, arguments.parameters.data(), sizeof factor);
    else
      throw Error(ErrorCode::InvalidModel, "parameters of a wrong size", "a float");
    return std::make_unique<Bound>(factor);
  }

  static std::vector<std::byte> parameters(float factor) {
    std::vector<std::byte> bytes(sizeof factor);
    std::memcpy(bytes.data(), &factor, sizeof factor);
    return bytes;
  }
  static inline std::atomic<int> specialized = 0;

 private:
  struct Ready final : Executable {
    float factor = 0;
    std::vector<int64_t> counts;  // of each input
    int64_t count = 0;

    size_t workspaceBytes() const override { return static_cast<size_t>(count) * sizeof(float); }
    void run(const RunArguments& arguments) const override {
      auto* sum = static_cast<float*>(arguments.workspace);
      ensure(reinterpret_cast<uintptr_t>(sum) % 64 == 0, "a workspace is aligned to 64");
      auto* out = static_cast<float*>(arguments.outputs[0]);
      arguments.pool->forRange(count, 8, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          sum[i] = 0;
          for (size_t k = 0; k < counts.size(); ++k)
            if (arguments.inputs[k])
              sum[i] += static_cast<const float*>(arguments.inputs[k])[counts[k] == 1 ? 0 : i];
        }
        for (int64_t i = begin; i < end; ++i) out[i] = factor * sum[i];
      });
    }
  };

  struct Bound final : BoundKernel {
    explicit Bound(float factor) : factor(factor) {}
    std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
      ++specialized;
      auto ready = std::make_unique<Ready>();
      ready->factor = factor;
      ready->count = elementCount(shapes.outputs[0]);
      for (const std::vector<int64_t>& dims : shapes.inputs)
        ready->counts.push_back(elementCount(dims));
      return ready;
    }
    float factor;
  };
};

// Throws while it runs.
class Failing final : public Kernel {
 public:
  std::string_view name() const override { return "test/failing"; }
  Support supports(const Problem&) const override { return Refusal{"for hand-written engines"}; }
  Prepared prepare(const Problem&, const Configuration&) const override { return {}; }
  std::unique_ptr<BoundKernel> bind(const BindArguments&) const override {
    return std::make_unique<Bound>();
  }

 private:
  struct Ready final : Executable {
    void run(const RunArguments&) const override {
      throw Error(ErrorCode::InvalidArgument, "an index of 7", "less than 3");
    }
  };
  struct Bound final : BoundKernel {
    std::unique_ptr<Executable> specialize(const ConcreteShapes&) const override {
      return std::make_unique<Ready>();
    }
  };
};

// The elements of the input that are greater than 0, in order.
class KeepPositive final : public Kernel {
 public:
  std::string_view name() const override { return "test/keep_positive"; }
  bool findsDims() const override { return true; }
  Support supports(const Problem&) const override { return Refusal{"for hand-written engines"}; }
  Prepared prepare(const Problem&, const Configuration&) const override { return {}; }
  std::unique_ptr<BoundKernel> bind(const BindArguments&) const override {
    return std::make_unique<Bound>();
  }

 private:
  struct Ready final : Executable {
    int64_t count = 0;
    void run(const RunArguments& arguments) const override {
      const auto* x = static_cast<const float*>(arguments.inputs[0]);
      int64_t kept = 0;
      for (int64_t i = 0; i < count; ++i) kept += x[i] > 0;
      auto* y = static_cast<float*>((*arguments.allocate)(0, std::span(&kept, 1)));
      for (int64_t i = 0; i < count; ++i)
        if (x[i] > 0) *y++ = x[i];
    }
  };
  struct Bound final : BoundKernel {
    std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const override {
      ensure(shapes.found && shapes.outputs[0].empty(), "a step that finds its outputs' dims");
      auto ready = std::make_unique<Ready>();
      ready->count = elementCount(shapes.inputs[0]);
      return ready;
    }
  };
};

inline const Kernel* findSampleKernel(std::string_view name) {
  static const KeepPositive keepPositive;
  if (name == keepPositive.name()) return &keepPositive;
  static const ScaledSum scaledSum;
  static const Failing failing;
  if (name == scaledSum.name()) return &scaledSum;
  if (name == failing.name()) return &failing;
  return nullptr;
}

}  // namespace carnot::testing
