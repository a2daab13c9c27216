#include "cli/exec/references.h"

#include <carnot/contents.h>
#include <carnot/error.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "cli/exec/input_file.h"
#include "cli/exec/name_pattern.h"

namespace carnot::cli::exec {

namespace {

double valueOf(DType type, const std::byte* data, int64_t index) {
  return std::strtod(elementText(type, data, index).c_str(), nullptr);
}

const char* nameOf(Accuracy accuracy) {
  switch (accuracy) {
    case Accuracy::L0:
      return "l0";
    case Accuracy::L1:
      return "l1";
    case Accuracy::L2:
      return "l2";
    case Accuracy::LInf:
      return "lInf";
    case Accuracy::Cos:
      break;
  }
  return "cos";
}

// Sums over the elements, from which every measure follows.
struct Errors {
  double beyond = 0, sum = 0, squares = 0, greatest = 0;
  double product = 0, has = 0, wanted = 0;  // for the cosine

  void add(double a, double b, const InferenceFlags& flags) {
    if (a == b || (std::isnan(a) && std::isnan(b))) {  // equal infinities too
      if (!std::isfinite(a)) return;
    } else {
      double error = std::abs(a - b);
      if (!(error <= flags.atol + flags.rtol * std::abs(b))) beyond += 1;
      if (std::isnan(error)) error = HUGE_VAL;
      sum += error;
      squares += error * error;
      greatest = std::max(greatest, error);
    }
    product += a * b;
    has += a * a;
    wanted += b * b;
  }

  double measure(Accuracy accuracy, double count) const {
    if (count == 0) return 0;
    switch (accuracy) {
      case Accuracy::L0:
        return beyond / count;
      case Accuracy::L1:
        return sum / count;
      case Accuracy::L2:
        return squares / count;
      case Accuracy::LInf:
        return greatest;
      case Accuracy::Cos:
        break;
    }
    if (greatest == 0) return 0;
    double cosine = product / std::sqrt(has * wanted);
    return std::isnan(cosine) ? 1 : 1 - cosine;
  }
};

double lossOf(const Binding& binding, const std::string& file, const InferenceFlags& flags) {
  DType type = binding.info.dtype;
  if (isComplex(type))
    throw Error(
        ErrorCode::Unsupported,
        fmt::format("--loadRefOutputs: output {} of {}", binding.info.name, dtypeName(type)),
        "real numbers");
  std::vector<std::byte> reference(binding.host.size());
  readContents(file, binding.info, binding.dims, reference);
  Errors errors;
  for (int64_t i = 0; i < binding.count(); ++i)
    errors.add(valueOf(type, binding.host.data(), i), valueOf(type, reference.data(), i), flags);
  return errors.measure(flags.accuracy, static_cast<double>(binding.count()));
}

}  // namespace

void compareReferences(Bindings& bindings, const InferenceFlags& flags, const Output& output) {
  std::vector<std::string> names;
  for (const Binding& binding : bindings.all())
    if (!binding.input) names.push_back(binding.info.name);
  for (const ReferencePair& pair : flags.pairs)
    for (const auto& entry : pair.outputs) requireMatch("--loadRefOutputs", entry.first, names);

  output.section("Accuracy");
  double threshold = flags.accuracyThreshold.value_or(0);
  size_t failed = 0, compared = 0;
  for (size_t i = 0; i < flags.pairs.size(); ++i) {
    bindings.load(flags.pairs[i].inputs);
    bindings.context().run();
    bindings.copyOutputs();
    for (const Binding& binding : bindings.all()) {
      if (binding.input) continue;
      const std::string* file = findByName(flags.pairs[i].outputs, binding.info.name);
      if (!file) continue;
      double loss = lossOf(binding, *file, flags);
      bool good = loss <= threshold;
      ++compared;
      failed += good ? 0 : 1;
      output.info(fmt::format("Pair {}, output {}: {} = {:.6g}, threshold {:g}: {}", i,
                              binding.info.name, nameOf(flags.accuracy), loss, threshold,
                              good ? "PASSED" : "FAILED"));
    }
  }
  if (failed > 0)
    throw Error(ErrorCode::InvalidArgument,
                fmt::format("--accuracyThreshold: {} of {} outputs further from their references",
                            failed, compared),
                fmt::format("{} at most {:g}", nameOf(flags.accuracy), threshold));
}

}  // namespace carnot::cli::exec
