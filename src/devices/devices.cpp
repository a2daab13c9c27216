#include <fmt/format.h>

#include "base/error.h"
#include "devices/cpu/cpu.h"
#include "devices/plugin.h"

namespace carnot {
namespace {

constexpr std::string_view kCpu = "cpu";
constexpr std::string_view kPluginKinds[] = {"cuda"};

void checkKind(std::string_view kind) {
  for (std::string_view known : kPluginKinds)
    if (kind == known) return;
  throw Error(ErrorCode::Unsupported, fmt::format("device kind {}", kind), "cpu or cuda");
}

}  // namespace

std::vector<std::string> deviceKinds() {
  std::vector<std::string> kinds{std::string(kCpu)};
  for (std::string_view kind : kPluginKinds) try {
      devicePlugin(kind).traits();
      kinds.emplace_back(kind);
    } catch (const Error&) {
      // Asking for the kind by name tells why.
    }
  return kinds;
}

DeviceTraits deviceTraits(std::string_view kind, int threads) {
  if (kind == kCpu) return hostTraits(threads);
  checkKind(kind);
  DeviceTraits traits = devicePlugin(kind).traits();
  traits.threads = threads;
  return traits;
}

std::shared_ptr<Device> openDevice(const DeviceTraits& traits) {
  if (traits.kind == kCpu) return openCpu(traits);
  checkKind(traits.kind);
  return devicePlugin(traits.kind).open(traits);
}

std::string DeviceTraits::fingerprint() const {
  if (kind == kCpu)
    return fmt::format("{}; {}; {}; {} threads; L1 {} KiB, L2 {} KiB, L3 {} KiB", kind, model,
                       isaNames(isa), threads, l1Bytes >> 10, l2Bytes >> 10, l3Bytes >> 10);
  return fmt::format("{}; {}; capability {}.{}; {} multiprocessors; memory {} MiB, L2 {} KiB; {}",
                     kind, model, computeCapability / 10, computeCapability % 10, multiprocessors,
                     memoryBytes >> 20, l2Bytes >> 10, libraries);
}

}  // namespace carnot
