// How many threads the program takes where the environment sets limits.

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <optional>

#include "core/cpu_limits.h"
#include "tests/tools/command_line.h"
#include "tests/tools/tiny_data.h"

namespace warptape {
namespace {

// An environment variable of the programs that are run meanwhile.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) {
      before_ = before;
    }
    ::setenv(name, value, 1);
  }
  ~Environment() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// "OpenMP   201511, 2 threads"
int threads_of_info() {
  const std::string out = expect_runs({"info"}).out;
  const size_t comma = out.find(", ", out.find("OpenMP"));
  EXPECT_NE(comma, std::string::npos) << out;
  return std::atoi(out.c_str() + comma + 2);
}

#ifdef _OPENMP
TEST(Threads, AnAbsurdNumberInTheEnvironmentIsBounded) {
  const TemporaryFolder folder;
  write_tiny_cifar10(folder);
  for (const char* number : {"100000", "2147483647"}) {
    const Environment set("OMP_NUM_THREADS", number);
    EXPECT_EQ(threads_of_info(), available_cpus());
    expect_runs({"train", "simple_cnn", "--data", folder.path("data"), "--out", folder.path(number),
                 "--image-size", "8", "--max-steps", "1"});
  }
  const Environment one("OMP_NUM_THREADS", "1");
  EXPECT_EQ(threads_of_info(), 1);
}

TEST(Threads, AMaskOfCpusBoundsThem) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);  // the program inherits it, as by taskset
  EXPECT_EQ(threads_of_info(), 1);
  {
    const Environment set("OMP_NUM_THREADS", "8");
    EXPECT_EQ(threads_of_info(), 1);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}
#endif

}  // namespace
}  // namespace warptape
