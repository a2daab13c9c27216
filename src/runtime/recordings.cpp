#include "runtime/recordings.h"

#include <algorithm>

namespace carnot {

Recordings::Entry* Recordings::find(const std::shared_ptr<const ShapePlan>& plan) {
  auto found = std::ranges::find(entries_, plan, &Entry::plan);
  return found == entries_.end() ? nullptr : &*found;
}

void Recordings::add(const std::shared_ptr<const ShapePlan>& plan) {
  Entry entry;
  entry.plan = plan;
  entry.lastUse = ++clock_;
  for (size_t step = first_; step < last_; ++step) {
    const bool recordable = plan->executables[step]->recordable();
    if (entry.segments.empty() || entry.segments.back().recordable != recordable)
      entry.segments.push_back({step, step, recordable, nullptr});
    entry.segments.back().last = step + 1;
  }
  if (entries_.size() < kCapacity)
    entries_.push_back(std::move(entry));
  else
    *std::ranges::min_element(entries_, {}, &Entry::lastUse) = std::move(entry);
}

void Recordings::record(Entry& entry, std::span<void* const> addresses, Stream& stream) {
  for (Segment& segment : entry.segments) {
    if (!segment.recordable) continue;
    auto issue = [&] { issue_(segment.first, segment.last); };
    if (segment.recording)
      segment.recording->update(stream, issue);
    else
      segment.recording = device_.record(stream, issue);
  }
  entry.addresses.assign(addresses.begin(), addresses.end());
  entry.recorded = true;
}

void Recordings::run(const std::shared_ptr<const ShapePlan>& plan, std::span<void* const> addresses,
                     Stream& stream) {
  Entry* entry = find(plan);
  if (!entry) {
    issue_(first_, last_);
    add(plan);
    return;
  }
  entry->lastUse = ++clock_;
  if (!entry->recorded || !std::ranges::equal(entry->addresses, addresses)) {
    entry->recorded = false;  // until all segments are of one set of addresses
    record(*entry, addresses, stream);
  }
  for (Segment& segment : entry->segments) {
    if (segment.recording)
      segment.recording->launch(stream);
    else
      issue_(segment.first, segment.last);
  }
}

}  // namespace carnot
