#include "codegen/cpu/machine_code.h"

#include <sys/mman.h>

#include <cstring>

#include "base/error.h"

namespace carnot {

std::shared_ptr<const MachineCode> MachineCode::make(std::span<const uint8_t> code) {
  auto refuse = [&](const char* step) {
    throw Error(ErrorCode::OutOfMemory,
                fmt::format("{} of {} bytes for generated code failed", step, code.size()),
                "memory that may be made executable",
                "free memory, allow executable mappings, or build for --isa=portable");
  };
  void* pages =
      mmap(nullptr, code.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) refuse("mmap");
  std::memcpy(pages, code.data(), code.size());
  if (mprotect(pages, code.size(), PROT_READ | PROT_EXEC) != 0) {
    munmap(pages, code.size());
    refuse("mprotect");
  }
  return std::shared_ptr<const MachineCode>(new MachineCode(pages, code.size()));
}

MachineCode::~MachineCode() { munmap(pages_, bytes_); }

}  // namespace carnot
