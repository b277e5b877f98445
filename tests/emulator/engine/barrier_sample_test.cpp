// The tests of the two samples; tools/mutate_barriers.sh runs them without one barrier at a time.

#include "tests/emulator/engine/barrier_sample.cuh"

#include <vector>

#include "tests/emulator/engine/redundant_barrier_sample.cuh"
#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

TEST(BarrierSample, SumsAcrossWarpsAndLanes) {
  constexpr int tiles = 3;
  std::vector<Pack16<float>> memory(size_t{64} * tiles);
  float* in = memory[0].values;
  for (int i = 0; i < 256 * tiles; ++i) {
    in[i] = static_cast<float>(i);
  }
  std::vector<float> out(64);
  run_kernel({.grid = 1, .block = 64, .name = "sum_across"}, sum_across,
             static_cast<const float*>(in), tiles, out.data());
  for (int t = 0; t < 64; ++t) {
    const int place = (4 * (t ^ 1) + 128) % 256;
    EXPECT_EQ(out[static_cast<size_t>(t)], static_cast<float>(3 * place + 256 * (0 + 1 + 2)));
  }
}

TEST(RedundantBarrierSample, Copies) {
  const std::vector<float> in(64, 2.0f);
  std::vector<float> out(64);
  run_kernel({.grid = 1, .block = 64}, copy_cautiously, in.data(), false, out.data());
  EXPECT_EQ(out, in);
}

}  // namespace
}  // namespace warptape::simt
