#pragma once

#include <cstdint>
#include <protozero/pbf_reader.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace carnot {

// The fields of one protobuf message, in order. Every getter checks the wire type; what is broken
// throws Error (InvalidModel).
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : reader_(message.data(), message.size()) {}

  bool next();  // to the next field; false after the last
  uint32_t field() const { return reader_.tag(); }
  void skip();

  int64_t integer();  // int32, int64, uint64, enum, bool
  float real();
  std::string_view bytes();  // bytes, a message
  std::string_view text();   // a string: must be UTF-8
  // A repeated field, packed or one element of it: appends.
  void integers(std::vector<int64_t>& out);
  void reals(std::vector<float>& out);
  void doubles(std::vector<double>& out);

 private:
  void require(protozero::pbf_wire_type type) const;
  template <typename T>
  void fixed(protozero::pbf_wire_type single, std::vector<T>& out);

  protozero::pbf_reader reader_;
};

// Runs fn; what it throws gains the frame `describe()`.
template <typename Describe, typename Fn>
auto inFrame(Describe describe, Fn fn) {
  try {
    return fn();
  } catch (Error& error) {
    error.within(describe());
    throw;
  }
}

}  // namespace carnot
