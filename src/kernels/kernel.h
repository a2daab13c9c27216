#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/layout.h"
#include "devices/device.h"
#include "ops/region.h"

namespace carnot {

// One tensor of a problem. A constant's contents may decide what a kernel packs or folds, never
// whether it supports the problem.
struct TensorDesc {
  DType dtype = DType::F32;
  Shape shape;
  const Tensor* constant = nullptr;
  bool present = true;  // false: an optional input left out
  // Of a small integer tensor that follows from the shapes: its elements, row-major.
  std::optional<std::vector<Dim>> contents = {};
};

// What a kernel is asked to carry out.
struct Problem {
  Region region;
  std::vector<TensorDesc> inputs, outputs;  // of the region, logical dims
  DeviceTraits device;
  // Whether products of float32 may round their operands to TF32; never set where no operand is
  // float32 or the device has no TF32.
  bool tf32 = false;
  // Whether a CPU's products of float32 may round their operands to bfloat16: sums and tensors stay
  // float32. Never set where the processor has no instructions for it.
  bool bf16 = false;

  std::vector<TensorType> inputTypes() const;
  std::vector<TensorType> tensorTypes() const;  // of every local tensor of the region
  // With the symbols replaced in shapes, contents and attributes.
  Problem substitute(const std::map<std::string, int64_t>& symbols) const;
  // Canonical: equal for problems that run alike (constant contents left out, scalars' included).
  uint64_t hash() const;
  std::string toString() const;
};

// One way of running a kernel: its parameters and the layouts it reads and writes.
struct Configuration {
  FieldMap parameters;  // "rows=14, vectors=2"
  std::vector<Layout> inputs, outputs;
  std::string toString() const;
};

struct Refusal {
  std::string reason;
};
using Support = std::variant<Refusal, std::vector<Configuration>>;

// What a kernel leaves in the engine: bytes that it alone reads, and constants packed for the
// device.
struct Prepared {
  std::vector<std::byte> parameters;
  std::vector<Tensor> weights;
  // The problem's inputs that are still passed at run time, in the order run() gets them; constants
  // that were packed are left out, others stay.
  std::vector<int> runtimeInputs;
};

// What a step gets at each run. Pointers are of the device's memory, aligned to 64 bytes unless
// they are an application's.
struct RunArguments {
  const void* const* inputs;
  void* const* outputs;
  void* workspace;  // Executable::workspaceBytes, aligned to 64
  Stream* stream;
  ThreadPool* pool;  // CPU
  // Set where the outputs' dims are found by running (ConcreteShapes::found): gives memory for
  // output `output` of these dims. `outputs` is null then.
  using Allocate = std::function<void*(size_t output, std::span<const int64_t> dims)>;
  const Allocate* allocate = nullptr;
};

// A kernel ready for one set of shapes. Immutable: contexts share it.
class Executable {
 public:
  virtual ~Executable() = default;
  virtual size_t workspaceBytes() const { return 0; }
  // Whether run only issues work to the stream, so that a Recording may hold it.
  virtual bool recordable() const { return true; }
  virtual void run(const RunArguments& arguments) const = 0;
};

// How elements lie in a tensor that a step is given.
struct TensorFormat {
  DType dtype = DType::F32;
  Layout layout;
  friend bool operator==(const TensorFormat&, const TensorFormat&) = default;
};

// Logical dims of inputs and of every output. Inputs are the kernel's runtime inputs for
// specialize, and all of the problem's (absent ones empty) for estimate.
struct ConcreteShapes {
  std::vector<std::vector<int64_t>> inputs, outputs;
  // Values of the symbols that attributes within the region may name.
  std::map<std::string, int64_t> symbols = {};
  // Of the same tensors, null for one left out: a file's claim, for specialize to compare with what
  // the kernel was prepared for. Both empty: nothing to compare.
  std::vector<std::optional<TensorFormat>> inputFormats = {}, outputFormats = {};
  // The outputs' dims depend on data: `outputs` holds an empty list for each.
  bool found = false;
};

// A kernel with its code and weights. Immutable after bind; specialize may be called from several
// threads.
class BoundKernel {
 public:
  virtual ~BoundKernel() = default;
  virtual std::unique_ptr<Executable> specialize(const ConcreteShapes& shapes) const = 0;
};

struct BindArguments {
  std::span<const std::byte> parameters;
  // As Prepared::weights, in the device's memory; outlive the bound kernel. On a device that shares
  // no memory with the host, bind looks at types and dims only.
  std::vector<TensorView> weights;
  DeviceTraits device;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::string_view name() const = 0;  // "cpu/conv/direct": a path, stable across releases
  virtual uint32_t revision() const { return 1; }  // of the parameters' format
  // Whether its executables can find their outputs' dims by running.
  virtual bool findsDims() const { return false; }
  // The ways to run the problem, or why there is none. Looks at types, dims, attributes and device;
  // asks for dims it needs as constants.
  virtual Support supports(const Problem& problem) const = 0;
  // A relative estimate in seconds at concrete dims, to order candidates before timing. By default
  // roofline() of the region's cost at full efficiency.
  virtual double estimate(const Problem& problem, const Configuration& configuration,
                          const ConcreteShapes& shapes) const;
  virtual Prepared prepare(const Problem& problem, const Configuration& configuration) const = 0;
  // Validates the parameters (they may come from a hostile file): throws Error (InvalidModel).
  virtual std::unique_ptr<BoundKernel> bind(const BindArguments& arguments) const = 0;
};

// Seconds that the cost takes at `efficiency` of the arithmetic peak or at the memory's bandwidth,
// whichever is longer, plus a call's overhead. Of use for orders only.
// Of the region at concrete dims.
Cost costAt(const Problem& problem, const ConcreteShapes& shapes);

double roofline(const Cost& cost, const DeviceTraits& device, double efficiency);

// The kernels for a kind of device in order of preference; the last one refuses nothing. Throws
// Error (Unsupported) when the kind's plugin does not load.
std::span<const Kernel* const> kernelsOf(std::string_view deviceKind);
// Null when the kind has none of that name.
const Kernel* findKernel(std::string_view name, std::string_view deviceKind = "cpu");
// What takes over when no other kernel does.
inline const Kernel& fallbackOf(std::string_view deviceKind) {
  return *kernelsOf(deviceKind).back();
}

// A plugin gives its kernels by a function of this name and type.
using KernelPluginFunction = void (*)(std::span<const Kernel* const>& kernels);
inline constexpr const char* kKernelPluginSymbol = "carnotKernels";

}  // namespace carnot
