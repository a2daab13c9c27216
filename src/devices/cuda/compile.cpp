#include "devices/cuda/compile.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstring>
#include <map>
#include <mutex>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "devices/cuda/cuda_device.h"
#include "devices/cuda/driver.h"
#include "devices/cuda/nvrtc.h"

namespace carnot::cuda {
namespace {

std::vector<std::string> flagsFor(int computeCapability) {
  return {fmt::format("--gpu-architecture=sm_{}", computeCapability), "--std=c++17",
          "--device-as-default-execution-space"};
}

// A cached file: the hash of the code, then the code.
std::vector<char> readCached(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return {};
  try {
    const auto file = MappedFile::open(path);
    auto bytes = file->bytes();
    Hash128 stored;
    if (bytes.size() <= sizeof stored) return {};
    std::memcpy(&stored, bytes.data(), sizeof stored);
    bytes = bytes.subspan(sizeof stored);
    if (hash128(bytes.data(), bytes.size()) != stored) return {};
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    return {begin, begin + bytes.size()};
  } catch (const Error&) {
    return {};  // compiled again
  }
}

void writeCached(const std::string& path, const std::vector<char>& code) {
  try {
    AtomicFile file(path);
    const Hash128 hash = hash128(code.data(), code.size());
    file.write(&hash, sizeof hash);
    file.write(code.data(), code.size());
    file.commit();
  } catch (const Error&) {
    // A cache that cannot be written costs time only.
  }
}

std::vector<char> compile(const std::string& source, const std::vector<std::string>& flags) {
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
  std::string folder = cacheFolder();
  std::string path;
  if (!folder.empty()) {
    folder += "/cuda";
    mkdir(folder.c_str(), 0755);
    path = fmt::format("{}/{}.cubin", folder, hash128(key.data(), key.size()).hex());
    if (std::vector<char> code = readCached(path); !code.empty()) return code;
  }
  std::vector<char> code = compile(source, flags);
  if (!path.empty()) writeCached(path, code);
  return code;
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
