#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "kernels/kernel.h"

namespace carnot {

// What a kernel keeps of its problem: the region, types, configuration and instruction set. bind
// repeats the analysis of supports on it, so that a damaged file meets the same refusals.
struct StoredProblem {
  Problem problem;
  Configuration configuration;

  StoredProblem() = default;
  StoredProblem(StoredProblem&&) = default;
  StoredProblem& operator=(StoredProblem&&) = default;

 private:
  // Constants: contents of single elements and of small integer tensors, others empty.
  std::vector<Tensor> constants_;
  friend StoredProblem decodeProblem(std::span<const std::byte>, const DeviceTraits&);
};

std::vector<std::byte> encodeProblem(const Problem& problem, const Configuration& configuration);

// `device` is where the code will run; the stored instruction set replaces its own. Throws Error:
// InvalidModel for bytes that encodeProblem does not write, Incompatible when the device lacks an
// instruction set.
StoredProblem decodeProblem(std::span<const std::byte> bytes, const DeviceTraits& device);

// Throws Error (InvalidModel) saying that the kernel's stored parameters do not hold.
[[noreturn]] void throwBadParameters(std::string why);

// Inputs present, in order: Prepared::runtimeInputs of a kernel that packs nothing.
std::vector<int> presentInputs(const Problem& problem);
// Where run() finds an input of the region. Throws Error (InvalidModel) where it does not.
size_t positionOf(std::span<const int> runtimeInputs, int input);
std::vector<Layout> plainLayouts(size_t count);

// Types of every local tensor at concrete dims: of the runtime inputs as given, of packed constants
// from the problem. Throws Error (InvalidModel) when they break the problem's dims, their formats
// are others than the configuration's or the outputs are not what the operators infer.
std::vector<TensorType> concreteTypes(const StoredProblem& stored,
                                      std::span<const int> runtimeInputs,
                                      const ConcreteShapes& shapes);

// An integer parameter of the configuration. Throws Error (InvalidModel) when it is missing or
// outside [low, high].
int64_t parameter(const Configuration& configuration, std::string_view name, int64_t low,
                  int64_t high);

}  // namespace carnot
