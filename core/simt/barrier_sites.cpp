#include "core/simt/barrier_sites.h"

#include <fmt/format.h>

#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "core/simt/state.h"

namespace warptape::simt {
namespace {

// "reduce.cuh:12" names line 12 of kernels/common/reduce.cuh, not of block_reduce.cuh.
bool names(std::string_view name, std::string_view site) {
  return site.ends_with(name) &&
         (site.size() == name.size() || site[site.size() - name.size() - 1] == '/');
}

void record(const std::string& site, const std::string& path) {
  static std::mutex mutex;
  static auto* recorded = new std::set<std::string>;  // never destroyed, as kernels may run late
  const std::lock_guard lock(mutex);
  if (recorded->insert(site).second) {
    std::ofstream(path, std::ios::app) << site << '\n';
  }
}

}  // namespace

bool skips_barrier(const char* file, int line) {
  const Settings& wanted = settings();
  if (wanted.deleted_barrier.empty() && wanted.barrier_record.empty()) {
    return false;
  }
  const OnScheduler errand(*current_block());
  const std::string site = fmt::format("{}:{}", file, line);
  if (!wanted.barrier_record.empty()) {
    record(site, wanted.barrier_record);
  }
  return !wanted.deleted_barrier.empty() && names(wanted.deleted_barrier, site);
}

}  // namespace warptape::simt
