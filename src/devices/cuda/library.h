#pragma once

#include <span>
#include <string>

namespace carnot::cuda {

// A library opened at run time. Looked for in $CARNOT_CUDA_LIBRARIES (folders joined by ':'), in
// the toolkit ($CUDA_HOME, $CUDA_PATH, /usr/local/cuda), in the nvidia packages of the Python whose
// modules are in this process, and where the system's loader looks. Never closed.
class Library {
 public:
  // `names`: file names, the preferred one first.
  Library(std::string title, std::span<const char* const> names);

  bool loaded() const { return handle_ != nullptr; }
  const std::string& title() const { return title_; }
  const std::string& failure() const { return failure_; }  // why it is not loaded
  // Null when the library has no such symbol.
  void* symbol(const char* name) const;
  // Throws Error (Unsupported) saying what was looked for where, unless loaded.
  void require() const;

 private:
  std::string title_, failure_;
  void* handle_ = nullptr;
};

// Fills a table's member from the library; a library without it counts as not usable: throws Error
// (Unsupported).
template <typename F>
void resolve(const Library& library, const char* name, F& function);
[[noreturn]] void throwMissing(const Library& library, const char* name);

template <typename F>
void resolve(const Library& library, const char* name, F& function) {
  function = reinterpret_cast<F>(library.symbol(name));
  if (!function) throwMissing(library, name);
}

}  // namespace carnot::cuda
