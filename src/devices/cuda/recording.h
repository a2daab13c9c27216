#pragma once

#include "devices/device.h"

namespace carnot::cuda {

// What `issue` issues to the stream, as an executable graph: see Device::record.
std::unique_ptr<Recording> recordGraph(Stream& stream, const std::function<void()>& issue,
                                       std::span<const MemoryRange> places);

}  // namespace carnot::cuda
