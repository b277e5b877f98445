#pragma once
// How many CPUs this process may keep busy: fewer than the machine has where an affinity mask
// (taskset, cpusets) or a quota of a control group (containers) says so.

#include <optional>
#include <string>

namespace warptape {

// The smaller of mask and quota, at least 1.
int available_cpus();

// The quota in whole CPUs, rounded up, of the process's control group and all groups around it,
// version 1 or 2; nothing where there is none. root: where /proc and /sys lie, for tests.
std::optional<int> cpu_quota(const std::string& root = "");

}  // namespace warptape
