#include "base/memory_limits.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "base/tensor.h"
#include "suites/support/bounded_memory.h"
#include "suites/support/errors.h"

namespace carnot {
namespace {

using testing::BoundedMemory;
using testing::errorOf;

constexpr size_t kMiB = size_t{1} << 20;

TEST(MemoryLimits, AreTheLeastOfTheMachinesAndOfEachControlGroupAround) {
  // A machine of 8000 MiB with 6000 free and 100 of swap.
  const std::string machine =
      "MemTotal: 8192000 kB\nMemFree: 1024 kB\nMemAvailable: 6144000 kB\nSwapFree: 102400 kB\n";
  auto mib = [](size_t count) { return std::to_string(count * kMiB) + "\n"; };
  auto files = [&](const char* prefix, size_t active, size_t inactive) {
    return std::string("anon 5\n") + prefix + "active_file " + mib(active) + prefix +
           "inactive_file " + mib(inactive);
  };
  struct Case {
    const char* what;
    const char* membership;
    std::map<std::string, std::string> files;  // below /sys/fs/cgroup
    size_t free, total, swap;                  // MiB
  };
  const Case cases[] = {
      {"no group", "", {}, 6000, 8000, 100},
      {"no limit",
       "0::/\n",
       {{"memory.max", "max\n"}, {"memory.current", mib(5)}},
       6000,
       8000,
       100},
      {"version 2",
       "0::/\n",
       {{"memory.max", mib(512)}, {"memory.current", mib(200)}},
       312,
       512,
       100},
      {"pages of files are free",
       "0::/\n",
       {{"memory.max", mib(512)}, {"memory.current", mib(200)}, {"memory.stat", files("", 30, 20)}},
       362,
       512,
       100},
      {"swap of the group",
       "0::/\n",
       {{"memory.max", mib(512)},
        {"memory.current", mib(200)},
        {"memory.swap.max", mib(64)},
        {"memory.swap.current", mib(60)}},
       312,
       512,
       4},
      {"a group within one that has less",
       "0::/outer/inner\n",
       {{"outer/inner/memory.max", mib(512)},
        {"outer/inner/memory.current", mib(200)},
        {"outer/memory.max", mib(256)},
        {"outer/memory.current", mib(250)}},
       6,
       256,
       100},
      {"a container that sees its group as the mount",
       "0::/docker/0123\n",
       {{"memory.max", mib(512)}, {"memory.current", mib(512)}},
       0,
       512,
       100},
      {"more used than allowed",
       "0::/\n",
       {{"memory.max", mib(512)}, {"memory.current", mib(600)}},
       0,
       512,
       100},
      {"more allowed than there is",
       "0::/\n",
       {{"memory.max", mib(90000)}, {"memory.current", mib(10)}},
       6000,
       8000,
       100},
      {"not a number",
       "0::/\n",
       {{"memory.max", "much\n"}, {"memory.current", mib(1)}},
       6000,
       8000,
       100},
      {"no use told", "0::/\n", {{"memory.max", mib(1)}}, 6000, 8000, 100},
      {"version 1",
       "9:cpu:/x\n4:memory:/x\n",
       {{"memory/x/memory.limit_in_bytes", mib(512)},
        {"memory/x/memory.usage_in_bytes", mib(200)},
        {"memory/x/memory.stat", files("total_", 30, 20)}},
       362,
       512,
       100},
      {"version 1 without a limit",
       "4:memory:/\n",
       {{"memory/memory.limit_in_bytes", "9223372036854771712\n"},
        {"memory/memory.usage_in_bytes", mib(200)}},
       6000,
       8000,
       100},
      {"a group of another controller",
       "4:cpu:/\n",
       {{"memory/memory.limit_in_bytes", mib(1)}, {"memory/memory.usage_in_bytes", mib(1)}},
       6000,
       8000,
       100},
  };
  int index = 0;
  for (const Case& c : cases) {
    const auto root =
        std::filesystem::path(::testing::TempDir()) /
        ("carnot-memory-" + std::to_string(::getpid()) + "-" + std::to_string(index++));
    auto write = [&](const std::filesystem::path& name, const std::string& text) {
      std::filesystem::create_directories((root / name).parent_path());
      std::ofstream(root / name) << text;
    };
    write("proc/meminfo", machine);
    write("proc/self/cgroup", c.membership);
    for (const auto& [name, text] : c.files) write("sys/fs/cgroup/" + name, text);
    const MemoryLimits limits = memoryLimitsBelow(root.string());
    std::filesystem::remove_all(root);
    EXPECT_EQ(limits.free, c.free * kMiB) << c.what;
    EXPECT_EQ(limits.total, c.total * kMiB) << c.what;
    EXPECT_EQ(limits.swap, c.swap * kMiB) << c.what;
    EXPECT_EQ(std::string(limits.holder), c.total == 8000 ? "the machine" : "its control group")
        << c.what;
  }
  EXPECT_EQ(memoryLimitsBelow("/nowhere").total, 0u) << "nothing known";
}

TEST(MemoryLimits, OfTheProcessAreObeyedBeforeMemoryIsTaken) {
  const size_t before = memoryLimits().free;
  {
    BoundedMemory bound(256 * kMiB);
    const MemoryLimits limits = memoryLimits();
    EXPECT_LE(limits.free, 256 * kMiB);
    EXPECT_GT(limits.free, 200 * kMiB);
    EXPECT_EQ(limits.swap, 0u);
    EXPECT_EQ(std::string(limits.holder), "its limit on data (ulimit -d)");
    const std::string refusal = errorOf([] { Buffer::allocate(300 * kMiB); });
    EXPECT_NE(refusal.find("needs 314572800 bytes"), std::string::npos) << refusal;
    EXPECT_NE(refusal.find("ulimit -d"), std::string::npos) << refusal;
    EXPECT_EQ(errorOf([] { Buffer::allocate(100 * kMiB); }), "");
    // What lives counts, touched or not; what died does not.
    for (int i = 0; i < 3; ++i) {
      auto first = Buffer::allocate(150 * kMiB);
      EXPECT_NE(errorOf([] { Buffer::allocate(150 * kMiB); }), "");
    }
    // Small ones are looked at too, now and then.
    std::vector<std::shared_ptr<Buffer>> small;
    const std::string last = errorOf([&] {
      for (int i = 0; i < 4000; ++i) small.push_back(Buffer::allocate(kMiB));
    });
    EXPECT_NE(last.find("free memory"), std::string::npos) << last;
  }
  EXPECT_GT(memoryLimits().free, before / 2) << "the limit is lifted";
}

TEST(MemoryLimits, OfTheMachineRefuseBuffersThatAreNotTouchedYet) {
  const MemoryLimits limits = memoryLimits();
  ASSERT_GT(limits.total, 0u);
  EXPECT_LE(limits.free, limits.total);
  const size_t most = limits.free + limits.swap;
  // Together more than there is, though the system would give the addresses of both.
  auto first = Buffer::allocate(most / 3 * 2);
  EXPECT_NE(errorOf([&] { Buffer::allocate(most / 3 * 2); }), "");
  EXPECT_NE(errorOf([&] { Buffer::allocate(size_t{1} << 60); }), "");
}

}  // namespace
}  // namespace carnot
