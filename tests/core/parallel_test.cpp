#include "core/parallel.h"

#include <sys/wait.h>
#include <unistd.h>

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

#ifdef _OPENMP
TEST(Parallel, TheNumberCountsForEveryThreadOfTheProgram) {
  const Threads set(3);
  int number = 0;
  int for_openmp = 0;
  size_t parts = 0;
  std::thread([&] {
    number = num_threads();
    parts = parts_of(300, 1).size();
    for_openmp = omp_get_max_threads();  // what libraries take that use OpenMP themselves
  }).join();
  EXPECT_EQ(number, 3);
  EXPECT_EQ(parts, 3U);
  EXPECT_EQ(for_openmp, 3);
}

// Ends the process by SIGALRM where the child hangs.
TEST(Parallel, AChildOfAForkGoesOnWithOneThread) {
  const Threads set(3);
  ASSERT_EQ(parts_of(300, 1).size(), 3U);
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    set_num_threads(3);
    const bool right = parts_of(300, 1).size() == 1 && num_threads() == 1;
    _exit(right ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(parts_of(300, 1).size(), 3U) << "the parent has its threads";
}
#endif

TEST(Parallel, ImpossibleNumbersOfThreadsAreErrors) {
  const int before = num_threads();
  expect_throws<ValueError>([] { set_num_threads(0); }, {"[set_num_threads] got 0"});
  expect_throws<ValueError>([] { set_num_threads(-2); }, {"-2"});
  expect_throws<ValueError>([] { set_num_threads(100000); }, {"100000"});
  EXPECT_EQ(num_threads(), before);
}

}  // namespace
}  // namespace warptape
