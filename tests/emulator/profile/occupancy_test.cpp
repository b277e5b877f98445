#include "tools/occupancy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/emulator/profile/planted.h"
#include "tools/kernel_report.h"

namespace warptape {
namespace {

using tools::occupancy;
using Names = std::vector<std::string>;

TEST(Occupancy, IsThatOfTheToolkit) {
  // What cuda_occupancy.h of CUDA 13.0 computes.
  EXPECT_EQ(occupancy(10, 32, 0).blocks, 32);
  EXPECT_EQ(occupancy(128, 256, 0).blocks, 2);
  EXPECT_EQ(occupancy(128, 256, 40000).blocks, 2);
  EXPECT_EQ(occupancy(64, 1024, 0).blocks, 1);
  EXPECT_EQ(occupancy(65, 1024, 0).blocks, 0);
  EXPECT_EQ(occupancy(100, 192, 10000).blocks, 2);
  EXPECT_EQ(occupancy(32, 256, 33000).blocks, 6);
  EXPECT_EQ(occupancy(32, 1024, 100000).blocks, 2);
  EXPECT_EQ(occupancy(32, 512, 232448).blocks, 1);
  EXPECT_EQ(occupancy(10, 32, 0).limited_by, Names{"blocks"});
  EXPECT_EQ(occupancy(128, 256, 0).limited_by, Names{"registers"});
  EXPECT_EQ(occupancy(32, 256, 33000).limited_by, Names{"shared"});
  EXPECT_EQ(occupancy(32, 1024, 0).limited_by, (Names{"warps", "registers"}));
}

// Registers would let 4 blocks of 256 threads in. But a block takes 256 + 64000 bytes of shared
// memory and 1024 of the system's, rounded up to 65280, and of 233472 bytes that leaves 3: 24 of 64
// warps.
TEST(Occupancy, OfAReportIsThatOfTheLaunch) {
  const tools::KernelRun run = {{{.name = "k",
                                  .launches = 1,
                                  .blocks = 1,
                                  .threads_per_block = 256,
                                  .dynamic_shared = 64000,
                                  .function = "k<float>(float*)"}},
                                1};
  const nlohmann::ordered_json ptxas = {{{"kernel", "void k<float>(float*)"},
                                         {"registers", 64},
                                         {"stack", 0},
                                         {"spill_stores", 0},
                                         {"spill_loads", 0},
                                         {"static_shared", 256}}};
  const std::string text = tools::to_text(run, ptxas);
  EXPECT_NE(text.find("256 of static and 64000 of dynamic shared memory, occupancy 38 %\n"),
            std::string::npos)
      << text;
  const nlohmann::ordered_json json = tools::to_json(run, ptxas).at("kernels").at(0);
  EXPECT_EQ(json.at("dynamic_shared"), 64000);
  EXPECT_EQ(json.at("occupancy").at("blocks_per_multiprocessor"), 3);
  EXPECT_EQ(json.at("occupancy").at("warps_per_multiprocessor"), 24);
  EXPECT_EQ(json.at("occupancy").at("fraction"), 24.0 / 64);
  EXPECT_EQ(json.at("occupancy").at("limited_by"), Names{"shared"});
  EXPECT_TRUE(tools::to_json(run, {}).at("kernels").at(0).at("occupancy").is_null());
}

TEST(Occupancy, CountsTheSharedMemoryThatALaunchAsksFor) {
  EXPECT_EQ(planted::shared_by_16().dynamic_shared, 64u * 16);
  EXPECT_EQ(planted::transpose_padded().dynamic_shared, 0u);
}

}  // namespace
}  // namespace warptape
