#include "core/cpu_limits.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

namespace warptape {
namespace {

// CPUs per group; nothing where a file is absent or sets no limit.
std::optional<double> ratio(double quota, double period) {
  return quota > 0 && period > 0 ? std::optional(quota / period) : std::nullopt;
}

std::optional<double> quota_of_version_2(const std::string& group) {
  std::ifstream file(group + "/cpu.max");
  double quota = 0;
  double period = 0;
  return file >> quota >> period ? ratio(quota, period) : std::nullopt;  // "max 100000" is none
}

std::optional<double> quota_of_version_1(const std::string& group) {
  double quota = 0;
  double period = 0;
  std::ifstream(group + "/cpu.cfs_quota_us") >> quota;  // -1 is none
  std::ifstream(group + "/cpu.cfs_period_us") >> period;
  return ratio(quota, period);
}

// The least that the group at `path` below `mount`, or one around it, allows. In a container the
// path may be the host's: then only the mount itself is there.
template <class Read>
void lower(std::optional<double>& least, const std::string& mount, std::string path,
           const Read& read) {
  while (true) {
    if (const auto found = read(mount + path)) {
      least = std::min(least.value_or(*found), *found);
    }
    if (path.empty()) {
      return;
    }
    path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
  }
}

bool names_cpu(const std::string& controllers) {
  std::istringstream list(controllers);
  std::string name;
  while (std::getline(list, name, ',')) {
    if (name == "cpu") {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<int> cpu_quota(const std::string& root) {
  std::optional<double> least;
  const std::string mounts = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  std::string number;
  std::string controllers;
  std::string path;
  while (std::getline(groups, number, ':') && std::getline(groups, controllers, ':') &&
         std::getline(groups, path)) {
    if (controllers.empty()) {
      lower(least, mounts, path, quota_of_version_2);
      lower(least, mounts + "/unified", path, quota_of_version_2);
    } else if (names_cpu(controllers)) {
      lower(least, mounts + "/" + controllers, path, quota_of_version_1);
      lower(least, mounts + "/cpu", path, quota_of_version_1);
    }
  }
  if (!least) {
    return std::nullopt;
  }
  return static_cast<int>(std::clamp(std::ceil(*least), 1.0, 1e6));
}

int available_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  const int in_mask = sched_getaffinity(0, sizeof mask, &mask) == 0
                          ? CPU_COUNT(&mask)
                          : static_cast<int>(std::thread::hardware_concurrency());
  const int allowed = std::max(in_mask, 1);
  return std::min(allowed, cpu_quota().value_or(allowed));
}

}  // namespace warptape
