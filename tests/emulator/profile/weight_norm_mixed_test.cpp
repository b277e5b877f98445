// Weight norm that writes a w in bfloat16 moves half of the bytes for it, and none twice.

#include <gtest/gtest.h>

#include "core/check.h"
#include "core/device/gpu.h"
#include "emulator/device/emulated.h"
#include "emulator/profile/profile.h"
#include "kernels/weight_norm/weight_norm.h"

namespace warptape {
namespace {

using simt::profile::Access;
using simt::profile::Counts;
using simt::profile::Space;

TEST(SimtProfile, WeightNormWritesBfloat16InFullSectors) {
  struct Case {
    int64_t rows, length;
    int beside = 0;       // elements of a row, at most
    double moved = 1.05;  // times what has to
  };
  // Rows of a thread, of a warp and of teams. Those of 1025 have elements beside their packs, and
  // with what each of 4 warps reads of g a dozen sectors more than their 6 KB. A row that no block
  // holds is read twice.
  for (const auto& [rows, length, beside, moved] :
       {Case{10'000, 27}, Case{1800, 147}, Case{512, 576}, Case{300, 1025, 11, 1.07},
        Case{20, 13'824}, Case{1, 1'000'000, 0, 1.05 * 10 / 6}}) {
    SCOPED_TRACE(fmt::format("{} rows of {}", rows, length));
    const Tensor v = Tensor::ones({rows, length}, float32, cuda);
    const Tensor g = Tensor::ones({rows, 1}, float32, cuda);
    gpu::synchronize();
    const gpu::emulated::MemoryRange memory = gpu::emulated::memory_range();
    simt::profile::start({memory.begin, memory.end});
    const Tensor w = weight_norm(v, g, {.dtype = bfloat16});
    gpu::synchronize();
    Counts all;
    Counts written;
    for (const simt::profile::KernelProfile& kernel : simt::profile::stop()) {
      all.add(kernel.total(Space::Device));
      written.add(kernel.total(Space::Device, Access::Write));
      EXPECT_GE(kernel.total(Space::Device).efficiency(), 0.95) << kernel.name;
      EXPECT_LE(kernel.total(Space::Shared).bank_factor(), 1.05) << kernel.name;
    }
    const int64_t counted = v.bytes() + w.bytes() + g.bytes() + 8 * rows;
    EXPECT_LE(static_cast<double>(all.moved_bytes()), moved * static_cast<double>(counted));
    EXPECT_GE(static_cast<double>(all.moved_bytes()), static_cast<double>(counted));
    // Four elements a store, and what stands beside a row's packs by itself; 1 / ||v|| of each.
    const double stores =
        static_cast<double>(v.numel()) / 4 + static_cast<double>((1 + beside) * rows);
    EXPECT_LE(static_cast<double>(written.lanes), 1.05 * stores);
  }
}

}  // namespace
}  // namespace warptape
