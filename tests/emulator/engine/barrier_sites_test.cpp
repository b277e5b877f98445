// Deleting a barrier by its line, at run time, and recording which were executed.

#include <fstream>
#include <string>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"
#include "tests/temporary_folder.h"

namespace warptape::simt {
namespace {

constexpr int first_line = __LINE__ + 4;  // of the barrier in mirror
__global__ void mirror(const float* in, float* out) {
  WARPTAPE_SHARED(float, staged, [64]);
  staged[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  const float other = staged[63 - threadIdx.x];
  __syncwarp();
  out[threadIdx.x] = other;
}

bool mirrors() {
  std::vector<float> in(64);
  for (size_t i = 0; i < 64; ++i) {
    in[i] = static_cast<float>(i);
  }
  std::vector<float> out(64);
  run_kernel({.grid = 1, .block = 64, .name = "mirror"}, mirror,
             static_cast<const float*>(in.data()), out.data());
  return out == std::vector<float>(in.rbegin(), in.rend());
}

std::string site(int line) {
  return "engine/barrier_sites_test.cpp:" + std::to_string(line);
}

TEST(BarrierSites, ADeletedOneIsCaught) {
  const SettingsGuard guard;
  settings().deleted_barrier = site(first_line);
  expect_race(mirrors);
}

TEST(BarrierSites, DeletingOthersChangesNothing) {
  const SettingsGuard guard;
  for (const std::string& other :
       {site(first_line + 2), site(first_line + 100), "other_" + site(first_line),
        "ier_sites_test.cpp:" + std::to_string(first_line), std::string("nonsense")}) {
    settings().deleted_barrier = other;
    expect_always_right(mirrors);
  }
}

TEST(BarrierSites, ExecutedOnesAreRecordedOnce) {
  const SettingsGuard guard;
  const TemporaryFolder folder;
  const std::string path = folder.path("sites");
  settings().barrier_record = path;
  EXPECT_TRUE(mirrors());
  EXPECT_TRUE(mirrors());
  std::ifstream file(path);
  std::string first, second, third;
  file >> first >> second >> third;
  EXPECT_TRUE(first.ends_with(site(first_line))) << first;
  EXPECT_TRUE(second.ends_with(site(first_line + 2))) << second;
  EXPECT_EQ(third, "");
}

}  // namespace
}  // namespace warptape::simt
