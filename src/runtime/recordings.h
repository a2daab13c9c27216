#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "devices/device.h"
#include "runtime/shape_plan.h"

namespace carnot {

// A segment's steps as recordings, one set for each of the shapes run last. Steps that only issue
// work are launched together; the others run between.
class Recordings {
 public:
  // Issues the steps [first, last) to a stream.
  using Issue = std::function<void(size_t first, size_t last, Stream& stream)>;

  // Of the steps [first, last).
  Recordings(Device& device, size_t first, size_t last, Issue issue)
      : device_(device), first_(first), last_(last), issue_(std::move(issue)) {}

  // Runs them all. The first run of a shape issues them one by one, since libraries may still
  // prepare; the second records, from `own`, whose work is this thread's alone. `places`: all
  // memory of the steps that may lie elsewhere in another run, as many in each.
  void run(const std::shared_ptr<const ShapePlan>& plan, std::span<const MemoryRange> places,
           Stream& stream, Stream& own);

 private:
  struct Segment {
    size_t first, last;
    bool recordable;
    std::unique_ptr<Recording> recording;
  };
  struct Entry {
    std::shared_ptr<const ShapePlan> plan;
    std::vector<Segment> segments;
    std::vector<MemoryRange> places;
    uint64_t lastUse = 0;
    bool recorded = false;
  };
  static constexpr size_t kCapacity = 8;

  // The entry of the plan; null when it is new here.
  Entry* find(const std::shared_ptr<const ShapePlan>& plan);
  void add(const std::shared_ptr<const ShapePlan>& plan);
  void record(Entry& entry, std::span<const MemoryRange> places, Stream& own);

  Device& device_;
  size_t first_, last_;
  Issue issue_;
  std::vector<Entry> entries_;
  uint64_t clock_ = 0;
};

}  // namespace carnot
