#include "tests/emulator/profile/bounds.h"

#include <fmt/format.h>

#include "tools/kernel_report.h"

namespace warptape {

using simt::profile::Counts;
using simt::profile::Space;

std::vector<std::string> broken_bounds(const tools::KernelRun& run, const MemoryBounds& bounds) {
  std::vector<std::string> broken;
  Counts device;
  for (const auto& kernel : run.kernels) {
    device.add(kernel.total(Space::Device));
    const double bank_factor = kernel.total(Space::Shared).bank_factor();
    if (bank_factor > bounds.bank_factor) {
      broken.push_back(fmt::format("{}: bank conflicts, factor {:.3f}; {}", kernel.name,
                                   bank_factor, tools::hint(kernel)));
    }
    const double efficiency = kernel.total(Space::Device).efficiency();
    if (efficiency < bounds.efficiency) {
      broken.push_back(
          fmt::format("{}: efficiency {:.3f}; {}", kernel.name, efficiency, tools::hint(kernel)));
    }
  }
  const auto moved = static_cast<double>(device.moved_bytes());
  const double times = moved / static_cast<double>(run.counted_bytes);
  if (times > bounds.moved || times < 1) {
    broken.push_back(fmt::format("moved {:.3f} times the counted bytes", times));
  }
  const double by_16 = device.share_of_16() * moved / static_cast<double>(run.wide_bytes);
  if (by_16 < bounds.by_16) {
    broken.push_back(fmt::format("{:.3f} of the bytes by 16", by_16));
  }
  return broken;
}

}  // namespace warptape
