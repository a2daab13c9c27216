#include "devices/cuda/compile.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "base/error.h"
#include "devices/cuda/code_cache.h"
#include "devices/cuda/cuda_device.h"
#include "devices/cuda/driver.h"
#include "devices/cuda/nvrtc.h"

namespace carnot::cuda {
namespace {

std::vector<std::string> flagsFor(int computeCapability) {
  // With what only Hopper has: the code runs on no other architecture anyway.
  return {fmt::format("--gpu-architecture=sm_{}{}", computeCapability,
                      computeCapability == 90 ? "a" : ""),
          "--std=c++17",
          "--device-as-default-execution-space"};
}

std::vector<char> compile(const std::string& source, const std::vector<std::string>& flags) {
  startNvrtc();
  const Nvrtc& compiler = nvrtc();
  auto must = [&](Nvrtc::Result result, const char* what) {
    if (result != 0)
      throwInternal(fmt::format("NVRTC, {}: {}", what, compiler.getErrorString(result)));
  };
  Nvrtc::Program program = nullptr;
  must(compiler.createProgram(&program, source.c_str(), "carnot.cu", 0, nullptr, nullptr),
       "program");
  struct Guard {
    const Nvrtc& compiler;
    Nvrtc::Program& program;
    ~Guard() { compiler.destroyProgram(&program); }
  } guard{compiler, program};
  std::vector<const char*> options;
  for (const std::string& flag : flags) options.push_back(flag.c_str());
  if (compiler.compileProgram(program, static_cast<int>(options.size()), options.data()) != 0) {
    size_t size = 0;
    compiler.getProgramLogSize(program, &size);
    std::string log(size, '\0');
    compiler.getProgramLog(program, log.data());
    throwInternal(fmt::format("generated CUDA code does not compile: {}\n{}", log.c_str(), source));
  }
  size_t size = 0;
  must(compiler.getCubinSize(program, &size), "size of the code");
  std::vector<char> code(size);
  must(compiler.getCubin(program, code.data()), "code");
  return code;
}

}  // namespace

std::vector<char> compileCuda(const std::string& source, int computeCapability) {
  const std::vector<std::string> flags = flagsFor(computeCapability);
  std::string key = source + nvrtcVersion();
  for (const std::string& flag : flags) key += " " + flag;
  return cachedCode(key, "cubin", [&] { return compile(source, flags); });
}

Module::Module(const std::vector<char>& code) {
  activateDevice();
  check(driver().cuModuleLoadData(&module_, code.data()), "loading generated code");
}

Module::~Module() {
  activateDevice();
  driver().cuModuleUnload(module_);
}

CUfunction Module::function(const char* name) const {
  CUfunction function = nullptr;
  check(driver().cuModuleGetFunction(&function, module_, name), name);
  return function;
}

std::shared_ptr<const Module> moduleOf(const std::string& source) {
  static std::mutex mutex;
  static auto* modules = new std::map<std::string, std::weak_ptr<const Module>>;
  {
    const std::lock_guard lock(mutex);
    if (auto found = modules->find(source); found != modules->end())
      if (auto module = found->second.lock()) return module;
  }
  auto module = std::make_shared<const Module>(compileCuda(source, cudaTraits().computeCapability));
  const std::lock_guard lock(mutex);
  std::weak_ptr<const Module>& entry = (*modules)[source];
  if (auto other = entry.lock()) return other;
  entry = module;
  std::erase_if(*modules, [](const auto& pair) { return pair.second.expired(); });
  return module;
}

}  // namespace carnot::cuda
