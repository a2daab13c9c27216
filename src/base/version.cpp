#include "base/version.h"

namespace carnot {

const char* version() { return CARNOT_VERSION; }

}  // namespace carnot
