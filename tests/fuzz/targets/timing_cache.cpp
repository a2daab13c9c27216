// Any bytes as a timing cache: what is read is written, and read again as the same.
#include <cstdlib>
#include <string>

#include "fuzz/targets.h"
#include "tactics/timing_cache.h"

void carnot::fuzz::timingCache(Bytes bytes) {
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  TimingCache cache("device");
  cache.parse(text, "input");
  cache.put("problem", "candidate", cache.find("problem", "candidate").value_or(1));
  const std::string written = cache.toJson();
  TimingCache again("device");
  again.parse(written, "what was written");
  if (again.toJson() != written || again.size() != cache.size()) std::abort();
}
