#include "core/cpu_limits.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "tests/temporary_folder.h"

namespace warptape {
namespace {

TEST(CpuLimits, AQuotaOfControlGroupsCountsInWholeCpus) {
  struct Case {
    std::string name;
    std::vector<std::pair<std::string, std::string>> files;
    std::optional<int> wanted;
  };
  const std::string v2 = "sys/fs/cgroup/";
  const std::string v1 = "sys/fs/cgroup/cpu,cpuacct/";
  const std::string in_v2 = "0::/a/b\n";
  const std::string in_v1 = "7:memory:/c\n4:cpu,cpuacct:/c/d\n";
  const std::vector<Case> cases = {
      {"nothing", {}, {}},
      {"no_limit", {{"proc/self/cgroup", in_v2}, {v2 + "a/b/cpu.max", "max 100000\n"}}, {}},
      {"own", {{"proc/self/cgroup", in_v2}, {v2 + "a/b/cpu.max", "300000 100000\n"}}, 3},
      {"rounded_up", {{"proc/self/cgroup", in_v2}, {v2 + "a/b/cpu.max", "150000 100000\n"}}, 2},
      {"below_one", {{"proc/self/cgroup", in_v2}, {v2 + "a/b/cpu.max", "5000 100000\n"}}, 1},
      {"around",
       {{"proc/self/cgroup", in_v2},
        {v2 + "a/b/cpu.max", "max 100000\n"},
        {v2 + "a/cpu.max", "200000 50000\n"},
        {v2 + "cpu.max", "900000 100000\n"}},
       4},
      {"only_the_mount", {{"proc/self/cgroup", in_v2}, {v2 + "cpu.max", "200000 100000\n"}}, 2},
      {"hybrid", {{"proc/self/cgroup", in_v2}, {v2 + "unified/a/cpu.max", "200000 100000\n"}}, 2},
      {"version_1",
       {{"proc/self/cgroup", in_v1},
        {v1 + "c/d/cpu.cfs_quota_us", "250000\n"},
        {v1 + "c/d/cpu.cfs_period_us", "100000\n"}},
       3},
      {"version_1_without_limit",
       {{"proc/self/cgroup", in_v1},
        {v1 + "c/d/cpu.cfs_quota_us", "-1\n"},
        {v1 + "c/d/cpu.cfs_period_us", "100000\n"}},
       {}},
      {"version_1_alone",
       {{"proc/self/cgroup", "1:cpu:/\n2:cpuset:/x\n"},
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
        {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "10000\n"}},
       5},
      {"nonsense", {{"proc/self/cgroup", "what\n"}, {v2 + "cpu.max", "many few\n"}}, {}},
  };
  const TemporaryFolder folder;
  for (const Case& each : cases) {
    for (const auto& [path, text] : each.files) {
      folder.write(each.name + "/" + path, text);
    }
    EXPECT_EQ(cpu_quota(folder.path(each.name)), each.wanted) << each.name;
  }
}

TEST(CpuLimits, AMaskOfOneCpuLeavesOne) {
  EXPECT_GE(available_cpus(), 1);
  int found = 0;
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);  // of this thread
    found = available_cpus();
  }).join();
  EXPECT_EQ(found, 1);
}

}  // namespace
}  // namespace warptape
