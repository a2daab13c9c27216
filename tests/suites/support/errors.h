#pragma once

#include <carnot/error.h>

#include <string>

namespace carnot::testing {

// The error's text; "" when nothing is thrown.
template <typename Act>
std::string errorOf(Act act) {
  try {
    act();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace carnot::testing
