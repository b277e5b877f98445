#include "core/parallel.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/core/expect_throws.h"

namespace warptape {
namespace {

struct Threads {
  explicit Threads(int threads) : before(num_threads()) { set_num_threads(threads); }
  ~Threads() { set_num_threads(before); }
  int before;
};

struct Part {
  int64_t begin;
  int64_t end;
};

std::vector<Part> parts_of(int64_t count, int64_t grain) {
  std::vector<Part> parts;
  std::mutex mutex;
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    parts.push_back({begin, end});
  });
  return parts;
}

TEST(Parallel, CoversEveryIndexOnce) {
  for (int threads : {1, 2, 3, 4}) {
    const Threads set(threads);
    for (int64_t count : {1, 2, 7, 31, 33, 1025}) {
      for (int64_t grain : {0, 1, 8, 5000}) {
        std::vector<int> visits(static_cast<size_t>(count), 0);
        for (const Part& part : parts_of(count, grain)) {
          for (int64_t i = part.begin; i < part.end; ++i) {
            ++visits.at(static_cast<size_t>(i));
          }
        }
        EXPECT_EQ(visits, std::vector<int>(static_cast<size_t>(count), 1))
            << threads << " threads, grain " << grain;
      }
    }
  }
}

TEST(Parallel, PartsHaveTheGrainAtLeast) {
  const Threads set(4);
  for (int64_t count : {8, 17, 23, 100}) {
    for (const Part& part : parts_of(count, 8)) {
      EXPECT_GE(part.end - part.begin, 8) << count;
    }
  }
}

TEST(Parallel, UsesAsManyPartsAsThreads) {
  const Threads set(3);
#ifdef _OPENMP
  EXPECT_EQ(parts_of(1000, 1).size(), 3U);
#else
  EXPECT_EQ(parts_of(1000, 1).size(), 1U);
#endif
}

TEST(Parallel, BelowTwoGrainsRunsOnTheCallingThread) {
  const Threads set(4);
  std::thread::id ran_on;
  int calls = 0;
  parallel_for(15, 8, [&](int64_t begin, int64_t end) {
    ran_on = std::this_thread::get_id();
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 15);
    ++calls;
  });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(Parallel, NothingToDoCallsNothing) {
  EXPECT_TRUE(parts_of(0, 1).empty());
  EXPECT_TRUE(parts_of(-3, 1).empty());
}

TEST(Parallel, NumberOfThreadsCanBeSet) {
  EXPECT_GE(num_threads(), 1);
#ifdef _OPENMP
  const Threads set(2);
  EXPECT_EQ(num_threads(), 2);
#endif
}

TEST(Parallel, ImpossibleNumbersOfThreadsAreErrors) {
  const int before = num_threads();
  expect_throws<ValueError>([] { set_num_threads(0); }, {"[set_num_threads] got 0"});
  expect_throws<ValueError>([] { set_num_threads(-2); }, {"-2"});
  expect_throws<ValueError>([] { set_num_threads(100000); }, {"100000"});
  EXPECT_EQ(num_threads(), before);
}

}  // namespace
}  // namespace warptape
