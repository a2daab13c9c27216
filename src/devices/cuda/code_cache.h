#pragma once

#include <functional>
#include <string>
#include <vector>

namespace carnot::cuda {

// What `make` makes, kept in the user's cache folder as "cuda/<hash of key>.<kind>"; the key names
// all that it depends on. A file that is damaged is made again; one that cannot be written costs
// time only. What is empty is not kept.
std::vector<char> cachedCode(const std::string& key, const char* kind,
                             const std::function<std::vector<char>()>& make);

}  // namespace carnot::cuda
