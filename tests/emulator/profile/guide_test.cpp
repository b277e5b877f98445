// The profile of the op in docs/write_a_kernel.md is what its step 7 says.

#include <gtest/gtest.h>

#include "tests/emulator/profile/bounds.h"

namespace warptape {

void scale_rows_cases(CaseTable& table);

namespace {

using simt::profile::Space;

TEST(ProfileGuide, RowDotsReadsElementByElement) {
  CaseTable table{.op = "scale_rows"};
  scale_rows_cases(table);
  const tools::KernelRun run = tools::profile_case(table.measured.at(0), {256, 1024}, float32);
  EXPECT_EQ(broken_bounds(run, {.by_16 = 0.6}), std::vector<std::string>());
  ASSERT_EQ(run.kernels.size(), 2u);
  EXPECT_EQ(run.kernels[0].name, "scale_rows");
  EXPECT_EQ(run.kernels[0].launches, 2u);
  EXPECT_GT(run.kernels[0].total(Space::Device).share_of_16(), 0.95);
  EXPECT_EQ(run.kernels[1].name, "row_dots");
  EXPECT_EQ(run.kernels[1].total(Space::Device).share_of_16(), 0);
}

}  // namespace
}  // namespace warptape
