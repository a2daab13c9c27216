#include "base/threads.h"

#include <carnot/error.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/cores.h"

namespace carnot {
namespace {

// A sanitizer's own threads (TSan) and its allocator's locks (ASan) do not survive every fork.
#if defined(__SANITIZE_THREAD__)
constexpr bool kForkIsTestable = false, kBusyForkIsTestable = false;
#elif defined(__SANITIZE_ADDRESS__)
constexpr bool kForkIsTestable = true, kBusyForkIsTestable = false;
#else
constexpr bool kForkIsTestable = true, kBusyForkIsTestable = true;
#endif

class Pools : public testing::TestWithParam<int> {};

TEST_P(Pools, EachPartRunsOnce) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (int parts : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<std::atomic<int>> runs(static_cast<size_t>(parts));
    for (int round = 0; round < 20; ++round)
      pool.run(parts, [&](int part) { runs[static_cast<size_t>(part)].fetch_add(1); });
    for (auto& count : runs) EXPECT_EQ(count.load(), 20);
  }
}

TEST_P(Pools, FirstPartRunsOnTheCaller) {
  ThreadPool pool(GetParam());
  std::thread::id first;
  pool.run(GetParam(), [&](int part) {
    if (part == 0) first = std::this_thread::get_id();
  });
  EXPECT_EQ(first, std::this_thread::get_id());
}

TEST_P(Pools, AsManyPartsAsThreadsRunTogether) {
  ThreadPool pool(GetParam());
  // Each part waits for all to arrive: would never end if one thread took two parts.
  std::atomic<int> arrived{0};
  pool.run(GetParam(), [&](int) {
    arrived.fetch_add(1);
    while (arrived.load() < GetParam()) std::this_thread::yield();
  });
  EXPECT_EQ(arrived.load(), GetParam());
}

TEST_P(Pools, StepsBeginWhenAllPartsHaveEndedTheOneBefore) {
  ThreadPool pool(GetParam());
  auto check = [&](int parts) {
    constexpr int64_t kSteps = 300;
    std::vector<int64_t> ended(static_cast<size_t>(parts), 0);
    std::atomic<int> early{0};
    pool.runSteps(parts, kSteps, [&](int part, int64_t step) {
      // Plain numbers: what others wrote in the step before is visible, what they write in this one
      // stands apart.
      if (step % 2 == 1)
        for (int64_t other : ended)
          if (other != step) early.fetch_add(1);
      if (step % 2 == 0) ended[static_cast<size_t>(part)] = step + 1;
    });
    EXPECT_EQ(early.load(), 0);
    EXPECT_EQ(ended, std::vector<int64_t>(static_cast<size_t>(parts), kSteps - 1));
  };
  for (int parts : {1, 2, 3, 4, 9}) check(parts);
  pool.run(2, [&](int) { check(3); });
  pool.runSteps(0, 5, [](int, int64_t) { ADD_FAILURE(); });
  pool.runSteps(5, 0, [](int, int64_t) { ADD_FAILURE(); });
}

TEST_P(Pools, AFailureInAStepEndsTheSteps) {
  ThreadPool pool(GetParam());
  for (int parts : {1, 2, GetParam()}) {
    std::atomic<int> after{0};
    EXPECT_THROW(pool.runSteps(parts, 50,
                               [&](int part, int64_t step) {
                                 if (step > 20) after.fetch_add(1);
                                 if (part == parts - 1 && step == 20)
                                   throw std::runtime_error("step");
                               }),
                 std::runtime_error);
    EXPECT_EQ(after.load(), 0);
  }
}

TEST_P(Pools, WorkIsVisibleAfterTheRegion) {
  ThreadPool pool(GetParam());
  std::vector<int> plain(256);
  for (int round = 1; round <= 200; ++round) {
    pool.run(16, [&](int part) {
      for (int i = 0; i < 16; ++i) plain[static_cast<size_t>(part * 16 + i)] += round;
    });
    if (round % 50 == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));  // let them park
  }
  for (int value : plain) EXPECT_EQ(value, 200 * 201 / 2);
}

TEST_P(Pools, RangesCoverAndKeepTheGrain) {
  ThreadPool pool(GetParam());
  struct Case {
    int64_t count, grain;
  };
  for (auto [count, grain] : {Case{0, 1},
                              {1, 1},
                              {10, 3},
                              {10, 100},
                              {1000, 1},
                              {7, 0},
                              {-3, 1},
                              {int64_t{1} << 62, int64_t{1} << 40}}) {
    std::mutex mutex;
    std::vector<std::pair<int64_t, int64_t>> ranges;
    pool.forRange(count, grain, [&](int64_t begin, int64_t end) {
      std::lock_guard hold(mutex);
      ranges.push_back({begin, end});
    });
    std::sort(ranges.begin(), ranges.end());
    EXPECT_LE(static_cast<int>(ranges.size()), GetParam());
    int64_t at = 0;
    for (auto [begin, end] : ranges) {
      EXPECT_EQ(begin, at);
      EXPECT_GT(end, begin);
      at = end;
    }
    EXPECT_EQ(at, std::max<int64_t>(count, 0));
    for (auto [begin, end] : ranges) EXPECT_GE(end - begin, std::min(count, grain)) << count;
  }
}

TEST_P(Pools, RegionInsideARegionIsSerial) {
  ThreadPool pool(GetParam()), other(2);
  std::atomic<int> runs{0}, strayed{0};
  pool.run(8, [&](int) {
    auto self = std::this_thread::get_id();
    for (ThreadPool* inner : {&pool, &other}) {
      int next = 0;
      inner->run(5, [&](int part) {
        if (std::this_thread::get_id() != self || part != next++) strayed.fetch_add(1);
        runs.fetch_add(1);
      });
    }
  });
  EXPECT_EQ(runs.load(), 80);
  EXPECT_EQ(strayed.load(), 0);
}

TEST_P(Pools, ExceptionsReachTheCallerAfterAllParts) {
  ThreadPool pool(GetParam());
  for (int bad : {0, 1, 5, 9}) {
    std::atomic<int> runs{0};
    auto body = [&](int part) {
      runs.fetch_add(1);
      if (part == bad) throw std::runtime_error("part " + std::to_string(part));
    };
    try {
      pool.run(10, body);
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(error.what(), "part " + std::to_string(bad));
    }
    EXPECT_EQ(runs.load(), 10);
  }
  EXPECT_THROW(pool.run(10, [](int part) { throw part; }), int);
  std::atomic<int> runs{0};
  pool.run(10, [&](int) { runs.fetch_add(1); });  // the pool still works
  EXPECT_EQ(runs.load(), 10);
}

TEST_P(Pools, ConcurrentCallersTakeTurns) {
  ThreadPool pool(GetParam());
  constexpr int kCallers = 4, kRegions = 300;
  std::atomic<int> inside{0}, overlaps{0};
  std::vector<int> sums(kCallers);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int region = 0; region < kRegions; ++region) {
        std::atomic<int> sum{0};
        pool.run(3, [&](int part) {
          if (GetParam() > 1) {  // a pool of one has no regions to share
            int others = inside.fetch_add(1);
            if (others >= GetParam()) overlaps.fetch_add(1);
          }
          sum.fetch_add(part + 1);
          if (GetParam() > 1) inside.fetch_sub(1);
        });
        sums[static_cast<size_t>(caller)] += sum.load();
      }
    });
  }
  for (auto& caller : callers) caller.join();
  for (int sum : sums) EXPECT_EQ(sum, 6 * kRegions);
  EXPECT_EQ(overlaps.load(), 0);
}

TEST_P(Pools, NobodyStarves) {
  ThreadPool pool(GetParam());
  std::atomic<bool> stop{false};
  std::thread greedy([&] {
    auto busy = [](int) {
      auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(5);
      while (std::chrono::steady_clock::now() < end) {
      }
    };
    while (!stop.load()) pool.run(2, busy);
  });
  int done = 0;
  for (; done < 20; ++done) pool.run(2, [](int) {});  // would hang if never let in
  stop = true;
  greedy.join();
  EXPECT_EQ(done, 20);
}

// Runs `check` in a forked child; what it returns is the child's exit status.
template <typename Check>
int inChild(Check check) {
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(check());
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int regionsWork(ThreadPool& pool) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> arrived{0};
    pool.run(pool.threads(), [&](int) {
      arrived.fetch_add(1);
      while (arrived.load() < pool.threads()) std::this_thread::yield();
    });
    if (arrived.load() != pool.threads()) return 1;
  }
  return 0;
}

TEST_P(Pools, ForkedChildMakesItsOwnWorkers) {
  if (!kForkIsTestable) GTEST_SKIP();
  ThreadPool pool(GetParam());
  auto shared = ThreadPool::shared(GetParam());
  regionsWork(pool);
  EXPECT_EQ(inChild([&] { return regionsWork(pool) + regionsWork(*shared); }), 0);
  EXPECT_EQ(inChild([&] { return inChild([&] { return regionsWork(pool); }); }), 0);
  EXPECT_EQ(inChild([&] {
              { ThreadPool fresh(GetParam()); }
              return regionsWork(*ThreadPool::shared(GetParam()));
            }),
            0);
  EXPECT_EQ(regionsWork(pool), 0);
}

TEST_P(Pools, ForkWhileAnotherThreadIsInARegion) {
  if (!kBusyForkIsTestable) GTEST_SKIP();
  ThreadPool pool(GetParam());
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop.load()) pool.run(4, [](int) { std::this_thread::yield(); });
  });
  for (int i = 0; i < 10; ++i) EXPECT_EQ(inChild([&] { return regionsWork(pool); }), 0);
  stop = true;
  busy.join();
}

INSTANTIATE_TEST_SUITE_P(Threads, Pools, testing::Values(1, 2, 3, 8));

TEST(Threads, PoolsOfASizeAreShared) {
  EXPECT_EQ(ThreadPool::shared(2), ThreadPool::shared(2));
  EXPECT_NE(ThreadPool::shared(2), ThreadPool::shared(3));
  EXPECT_EQ(ThreadPool::shared(3)->threads(), 3);
}

TEST(Threads, SizesAreChecked) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(1 << 20), Error);
}

TEST(Threads, DefaultCount) {
  ::unsetenv("CARNOT_THREADS");
  EXPECT_GE(availableCores(), 1);
  EXPECT_EQ(defaultThreads(), availableCores());
  ::setenv("CARNOT_THREADS", "3", 1);
  EXPECT_EQ(defaultThreads(), 3);
  for (const char* bad : {"0", "-2", "two", "3x", " 3", "99999999999"}) {
    ::setenv("CARNOT_THREADS", bad, 1);
    EXPECT_THROW(defaultThreads(), Error) << bad;
  }
  ::setenv("CARNOT_THREADS", "", 1);
  EXPECT_EQ(defaultThreads(), availableCores());
  ::unsetenv("CARNOT_THREADS");
}

struct QuotaCase {
  const char* membership;
  std::vector<std::pair<const char*, const char*>> files;
  int cores;
};

TEST(Threads, CgroupQuotas) {
  const QuotaCase cases[] = {
      {"0::/\n", {}, 0},
      {"0::/\n", {{"cpu.max", "max 100000\n"}}, 0},
      {"0::/\n", {{"cpu.max", "250000 100000\n"}}, 2},
      {"0::/\n", {{"cpu.max", "50000 100000\n"}}, 1},
      {"0::/a/b\n", {{"a/cpu.max", "300000 100000\n"}, {"a/b/cpu.max", "max 100000\n"}}, 3},
      {"0::/a/b\n", {{"a/cpu.max", "900000 100000\n"}, {"a/b/cpu.max", "400000 100000\n"}}, 4},
      {"0::/not/here\n", {{"cpu.max", "200000 100000\n"}}, 2},  // a container's own mount
      {"0::/\n", {{"cpu.max", "nonsense"}}, 0},
      {"0::/\n", {{"cpu.max", "100000 0\n"}}, 0},
      {"", {{"cpu.max", "200000 100000\n"}}, 0},
      {"broken\n:\n", {}, 0},
      {"3:memory:/x\n2:cpu,cpuacct:/x\n",
       {{"cpu/x/cpu.cfs_quota_us", "350000\n"}, {"cpu/x/cpu.cfs_period_us", "100000\n"}},
       3},
      {"2:cpuacct,cpu:/x\n",
       {{"cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
        {"cpu,cpuacct/cpu.cfs_period_us", "100000\n"}},
       2},
      {"2:cpu:/\n", {{"cpu/cpu.cfs_quota_us", "-1\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}}, 0},
      {"2:cpuset:/\n",
       {{"cpu/cpu.cfs_quota_us", "100000\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}},
       0},
  };
  int index = 0;
  for (const auto& [membership, files, cores] : cases) {
    auto mount = std::filesystem::path(testing::TempDir()) /
                 ("carnot-cgroup-" + std::to_string(::getpid()) + "-" + std::to_string(index++));
    for (const auto& [name, text] : files) {
      std::filesystem::create_directories((mount / name).parent_path());
      std::ofstream(mount / name) << text;
    }
    EXPECT_EQ(cgroupCores(mount.string(), membership), cores) << membership << index - 1;
    std::filesystem::remove_all(mount);
  }
}

TEST(FunctionRef, RefersToConstAndMutableCallables) {
  int calls = 0;
  const auto constant = [&](int x) { calls += x; };
  auto counting = [count = 0, &calls](int x) mutable { calls += x * ++count; };
  FunctionRef<void(int)> a = constant, b = counting, c = a;
  a(1), b(10), b(10), c(100);
  EXPECT_EQ(calls, 1 + 10 + 20 + 100);
}

}  // namespace
}  // namespace carnot
