// What the host processor is: instruction sets that it has and that the operating system saves,
// model and caches. Sources: Intel SDM volume 2 (CPUID, XGETBV), AMD APM volume 3 appendix E.

#include <algorithm>
#include <cstring>

#include "devices/device.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif
#include <unistd.h>

namespace carnot {

#if defined(__x86_64__)
namespace {

struct Leaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Leaf cpuid(unsigned leaf, unsigned subleaf = 0) {
  Leaf result;
  __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
  return result;
}

bool bit(unsigned value, int index) { return (value >> index) & 1; }

// Which register states the operating system saves.
uint64_t savedStates() {
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

// Linux lets a process use AMX's tiles once it has asked (Documentation/arch/x86/xstate.rst).
bool tilesPermitted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

IsaSet detectIsa() {
  IsaSet set;
  const Leaf basic = cpuid(1);
  const bool osxsave = bit(basic.ecx, 27);
  if (!osxsave) return set;
  const uint64_t saved = savedStates();
  const bool ymm = (saved & 0x06) == 0x06;
  const bool zmm = (saved & 0xe6) == 0xe6;
  const bool tiles = (saved & 0x60000) == 0x60000;
  const Leaf extended = cpuid(7);
  const Leaf more = cpuid(7, 1);
  if (ymm && bit(basic.ecx, 28) && bit(extended.ebx, 5) && bit(basic.ecx, 12) && bit(basic.ecx, 29))
    set.add(Isa::Avx2);
  else
    return set;
  if (bit(more.eax, 4)) set.add(Isa::AvxVnni);
  const bool avx512 = zmm && bit(extended.ebx, 16) && bit(extended.ebx, 17) &&
                      bit(extended.ebx, 30) && bit(extended.ebx, 31);
  if (!avx512) return set;
  set.add(Isa::Avx512);
  if (bit(extended.ecx, 11)) set.add(Isa::Avx512Vnni);
  if (bit(more.eax, 5)) set.add(Isa::Avx512Bf16);
  if (bit(extended.edx, 23)) set.add(Isa::Avx512Fp16);
  if (tiles && bit(extended.edx, 24) && tilesPermitted()) {
    if (bit(extended.edx, 25)) set.add(Isa::AmxInt8);
    if (bit(extended.edx, 22)) set.add(Isa::AmxBf16);
  }
  return set;
}

std::string brandString() {
  if (cpuid(0x80000000).eax < 0x80000004) return "x86-64";
  char text[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const Leaf leaf = cpuid(0x80000002 + i);
    std::memcpy(text + 16 * i, &leaf, 16);
  }
  std::string brand = text;
  const size_t first = brand.find_first_not_of(' ');
  if (first == std::string::npos) return "x86-64";
  return brand.substr(first, brand.find_last_not_of(' ') - first + 1);
}

}  // namespace

IsaSet hostIsa() {
  static const IsaSet set = detectIsa();
  return set;
}

static std::string hostModel() { return brandString(); }

#else

IsaSet hostIsa() { return {}; }
static std::string hostModel() { return "generic"; }

#endif

DeviceTraits hostTraits(int threads) {
  DeviceTraits traits;
  traits.model = hostModel();
  traits.isa = hostIsa();
  traits.threads = threads;
  auto cache = [](int name, size_t fallback) {
    const long bytes = sysconf(name);
    return bytes > 0 ? static_cast<size_t>(bytes) : fallback;
  };
  traits.l1Bytes = cache(_SC_LEVEL1_DCACHE_SIZE, traits.l1Bytes);
  traits.l2Bytes = cache(_SC_LEVEL2_CACHE_SIZE, traits.l2Bytes);
  traits.l3Bytes = cache(_SC_LEVEL3_CACHE_SIZE, traits.l3Bytes);
  return traits;
}

}  // namespace carnot
