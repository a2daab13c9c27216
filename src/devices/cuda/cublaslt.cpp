#include "devices/cuda/cublaslt.h"

#include <fmt/format.h>

#include "base/error.h"
#include "devices/cuda/cuda_device.h"
#include "devices/cuda/library.h"

namespace carnot::cuda {
namespace {

const Library& library() {
  static constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12"};
  static const Library library("cuBLASLt", kNames);
  return library;
}

CublasLt load() {
  library().require();
  CublasLt table;
  auto find = [](const char* name, auto& function) { resolve(library(), name, function); };
  find("cublasLtCreate", table.create);
  find("cublasLtGetVersion", table.getVersion);
  find("cublasLtGetStatusString", table.getStatusString);
  find("cublasLtMatmulDescCreate", table.matmulDescCreate);
  find("cublasLtMatmulDescDestroy", table.matmulDescDestroy);
  find("cublasLtMatmulDescSetAttribute", table.matmulDescSetAttribute);
  find("cublasLtMatrixLayoutCreate", table.matrixLayoutCreate);
  find("cublasLtMatrixLayoutDestroy", table.matrixLayoutDestroy);
  find("cublasLtMatrixLayoutSetAttribute", table.matrixLayoutSetAttribute);
  find("cublasLtMatmulPreferenceCreate", table.preferenceCreate);
  find("cublasLtMatmulPreferenceDestroy", table.preferenceDestroy);
  find("cublasLtMatmulPreferenceSetAttribute", table.preferenceSetAttribute);
  find("cublasLtMatmulAlgoGetHeuristic", table.getHeuristic);
  find("cublasLtMatmul", table.matmul);
  return table;
}

}  // namespace

const CublasLt& cublasLt() {
  static const CublasLt table = load();
  return table;
}

CublasLt::Handle cublasLtHandle() {
  static const CublasLt::Handle handle = [] {
    activateDevice();
    CublasLt::Handle made = nullptr;
    check(cublasLt().create(&made), "starting cuBLASLt");
    return made;
  }();
  return handle;
}

std::string cublasLtVersion() {
  if (!library().loaded()) return "no cuBLASLt";
  const size_t version = cublasLt().getVersion();
  return fmt::format("cuBLASLt {}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

void check(CublasLt::Status status, const char* what) {
  if (status == 0) return;
  throwInternal(fmt::format("cuBLASLt, {}: {}", what, cublasLt().getStatusString(status)));
}

}  // namespace carnot::cuda
