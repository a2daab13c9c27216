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

void Recordings::record(Entry& entry, std::span<const MemoryRange> places, Stream& own) {
  for (Segment& segment : entry.segments) {
    if (!segment.recordable) continue;
    auto issue = [&] { issue_(segment.first, segment.last, own); };
    if (segment.recording)
      segment.recording->update(own, issue, places);
    else
      segment.recording = device_.record(own, issue, places);
  }
  entry.places.assign(places.begin(), places.end());
  entry.recorded = true;
}

void Recordings::run(const std::shared_ptr<const ShapePlan>& plan,
                     std::span<const MemoryRange> places, Stream& stream, Stream& own) {
  Entry* entry = find(plan);
  if (!entry) {
    issue_(first_, last_, stream);
    add(plan);
    return;
  }
  entry->lastUse = ++clock_;
  if (!entry->recorded || !std::ranges::equal(entry->places, places)) {
    entry->recorded = false;  // until all segments are of one set of places
    record(*entry, places, own);
  }
  for (Segment& segment : entry->segments) {
    if (segment.recording)
      segment.recording->launch(stream);
    else
      issue_(segment.first, segment.last, stream);
  }
}

}  // namespace carnot
