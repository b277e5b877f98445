// Kernels whose cost is known from theory have that cost in the profile.

#include <gtest/gtest.h>

#include "tests/emulator/profile/planted.h"

namespace warptape {
namespace {

using simt::profile::Access;
using simt::profile::Counts;
using simt::profile::KernelProfile;
using simt::profile::Space;

constexpr double close = 1e-9;

Counts device_reads(const KernelProfile& kernel) {
  return kernel.total(Space::Device, Access::Read);
}
Counts device_writes(const KernelProfile& kernel) {
  return kernel.total(Space::Device, Access::Write);
}
Counts shared_reads(const KernelProfile& kernel) {
  return kernel.total(Space::Shared, Access::Read);
}

TEST(SimtProfile, NaiveTransposeWastesSevenEighthsOfItsWrites) {
  const KernelProfile kernel = planted::transpose_naive();
  EXPECT_NEAR(device_reads(kernel).efficiency(), 1, close);
  EXPECT_NEAR(device_writes(kernel).efficiency(), 0.125, close);
  EXPECT_EQ(device_reads(kernel).moved_bytes(), 128u * 128 * 4);
  EXPECT_EQ(device_writes(kernel).moved_bytes(), 128u * 128 * 32);
  EXPECT_EQ(kernel.launches, 1u);
  EXPECT_EQ(kernel.blocks, 16u);
  EXPECT_EQ(kernel.threads_per_block, 1024u);
}

TEST(SimtProfile, UnpaddedTileConflictsInAllBanks) {
  const KernelProfile slow = planted::transpose_unpadded();
  EXPECT_NEAR(shared_reads(slow).bank_factor(), 32, close);
  EXPECT_NEAR(slow.total(Space::Shared, Access::Write).bank_factor(), 1, close);
  EXPECT_NEAR(slow.total(Space::Shared).bank_factor(), 16.5, close);
  const KernelProfile good = planted::transpose_padded();
  EXPECT_NEAR(good.total(Space::Shared).bank_factor(), 1, close);
  EXPECT_NEAR(good.total(Space::Device).efficiency(), 1, close);
}

TEST(SimtProfile, ARowPerThreadAsksForASectorPerLane) {
  const Counts slow = device_reads(planted::row_per_thread());
  EXPECT_EQ(slow.requests, 128u / 32 * 64);
  EXPECT_EQ(slow.sectors, 32 * slow.requests);
  EXPECT_EQ(slow.ideal_sectors, 4 * slow.requests);
  const KernelProfile good = planted::row_per_warp();
  EXPECT_NEAR(device_reads(good).efficiency(), 1, close);
  EXPECT_NEAR(device_writes(good).idle_lanes(), 31.0 / 32, close);
}

TEST(SimtProfile, WidthOfAccesses) {
  const KernelProfile narrow = planted::copy_by_4();
  EXPECT_NEAR(narrow.total(Space::Device).share_of_16(), 0, close);
  EXPECT_NEAR(narrow.total(Space::Device).efficiency(), 1, close);
  EXPECT_EQ(device_reads(narrow).requests, 4096u / 32);
  const KernelProfile wide = planted::copy_by_16();
  EXPECT_NEAR(wide.total(Space::Device).share_of_16(), 1, close);
  EXPECT_NEAR(wide.total(Space::Device).efficiency(), 1, close);
  EXPECT_EQ(device_reads(wide).requests, 4096u / 128);
  EXPECT_EQ(device_writes(wide).moved_bytes(), 4096u * 4);
}

TEST(SimtProfile, OneWorkingLaneLeavesTheOthersIdle) {
  const KernelProfile kernel = planted::copy_by_one_lane();
  EXPECT_NEAR(kernel.total(Space::Device).idle_lanes(), 31.0 / 32, close);
  EXPECT_EQ(device_reads(kernel).requests, 4096u);
}

TEST(SimtProfile, AnUnalignedWarpMovesOneSectorMore) {
  const KernelProfile kernel = planted::copy_shifted();
  EXPECT_NEAR(device_reads(kernel).efficiency(), 0.8, close);
  EXPECT_NEAR(device_writes(kernel).efficiency(), 1, close);
}

TEST(SimtProfile, AsynchronousCopiesCountOnceOnEitherSide) {
  const KernelProfile kernel = planted::copy_async();
  EXPECT_EQ(device_reads(kernel).moved_bytes(), 4096u * 4);
  EXPECT_EQ(kernel.total(Space::Shared, Access::Write).bytes, 4096u * 4);
  EXPECT_NEAR(kernel.total(Space::Shared).bank_factor(), 1, close);
  EXPECT_NEAR(kernel.total(Space::Device).share_of_16(), 1, close);
}

TEST(SimtProfile, SharedAccessesOf16BytesGoByQuarterWarps) {
  const Counts counts = planted::shared_by_16().total(Space::Shared);
  EXPECT_EQ(counts.requests, 2u * 2);
  EXPECT_NEAR(counts.wavefronts_per_request(), 4, close);
  EXPECT_NEAR(counts.bank_factor(), 1, close);
}

TEST(SimtProfile, ABroadcastIsOneSectorAndAtomicsAreTheirOwnKind) {
  const KernelProfile kernel = planted::broadcast_and_count();
  EXPECT_EQ(device_reads(kernel).sectors, 8u);
  EXPECT_NEAR(device_reads(kernel).efficiency(), 1, close);
  EXPECT_EQ(device_writes(kernel).requests, 0u);
  const Counts atomics = kernel.total(Space::Device, Access::Atomic);
  EXPECT_EQ(atomics.requests, 8u);
  EXPECT_EQ(atomics.lanes, 256u);
}

TEST(SimtProfile, LanesMeetByTheNumberOfTheirTurn) {
  const Counts reads = device_reads(planted::uneven_loop());
  EXPECT_EQ(reads.requests, 32u);
  EXPECT_EQ(reads.lanes, 32u * 33 / 2);
}

TEST(SimtProfile, RowsNameTheKernelsLinesAndStrides) {
  const KernelProfile kernel = planted::transpose_naive();
  ASSERT_EQ(kernel.lines.size(), 2u);
  EXPECT_TRUE(kernel.lines[0].file.ends_with("tests/emulator/profile/planted.cu"));
  EXPECT_EQ(kernel.lines[0].line, kernel.lines[1].line);
  EXPECT_EQ(kernel.lines[0].access, Access::Write);
  EXPECT_EQ(kernel.lines[0].stride, 512);
  EXPECT_EQ(kernel.lines[1].stride, 4);
  for (const auto& line : planted::copy_by_16().lines) {
    EXPECT_TRUE(line.file.ends_with("planted.cu")) << line.file;
  }
}

}  // namespace
}  // namespace warptape
