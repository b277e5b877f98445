// The orders in which threads run: drawn from a seed, and such that warps may run far ahead.

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

// The order in which threads come by, before and behind a barrier.
__global__ void note_order(int* next, unsigned* order) {
  order[atomicAdd(&next[0], 1)] = threadIdx.x;
  __syncthreads();
  order[blockDim.x + static_cast<unsigned>(atomicAdd(&next[1], 1))] = threadIdx.x;
}

constexpr unsigned threads = 96;

std::vector<unsigned> noted_order() {
  int next[2] = {0, 0};
  std::vector<unsigned> order(2 * threads);
  run_kernel({.grid = 1, .block = threads}, note_order, &next[0], order.data());
  return order;
}

TEST(Order, SeedZeroIsAscending) {
  const SettingsGuard guard;
  restart_orders(0);
  std::vector<unsigned> ascending(threads);
  std::iota(ascending.begin(), ascending.end(), 0);
  const std::vector<unsigned> order = noted_order();
  EXPECT_EQ(std::vector<unsigned>(order.begin(), order.begin() + threads), ascending);
  EXPECT_EQ(std::vector<unsigned>(order.begin() + threads, order.end()), ascending);
}

TEST(Order, TheSameSeedGivesTheSameOrders) {
  const SettingsGuard guard;
  for (uint64_t seed : {1, 2, 77}) {
    restart_orders(seed);
    const std::vector<unsigned> first = noted_order();
    const std::vector<unsigned> second = noted_order();
    EXPECT_NE(first, second) << "launches must differ";
    restart_orders(seed);
    EXPECT_EQ(noted_order(), first);
    EXPECT_EQ(noted_order(), second);
  }
}

TEST(Order, OtherSeedsGiveOtherOrders) {
  std::set<std::vector<unsigned>> orders;
  for_each_seed(20, [&] { orders.insert(noted_order()); });
  EXPECT_EQ(orders.size(), 21U);
}

TEST(Order, IsDrawnAgainAtABarrier) {
  const SettingsGuard guard;
  restart_orders(1);
  const std::vector<unsigned> order = noted_order();
  const auto behind = order.begin() + threads;
  EXPECT_FALSE(std::equal(order.begin(), behind, behind));
}

__global__ void note_blocks(int* next, unsigned* order) {
  order[atomicAdd(next, 1)] = blockIdx.x;
}

TEST(Order, BlocksAreShuffledToo) {
  const SettingsGuard guard;
  settings().workers = 1;
  for (uint64_t seed : {0, 5}) {
    settings().seed = seed;
    int next = 0;
    std::vector<unsigned> order(50);
    run_kernel({.grid = 50, .block = 1}, note_blocks, &next, order.data());
    EXPECT_EQ(std::is_sorted(order.begin(), order.end()), seed == 0);
    std::sort(order.begin(), order.end());
    for (unsigned i = 0; i < 50; ++i) {
      EXPECT_EQ(order[i], i);
    }
  }
}

// How many of its 16 steps one warp is ahead of the other.
__global__ void step(int* steps, int* lead) {
  for (int i = 0; i < 16; ++i) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) {
      const int own = atomicAdd(&steps[threadIdx.x / 32], 1) + 1;
      atomicMax(&lead[threadIdx.x / 32], own - atomicAdd(&steps[1 - threadIdx.x / 32], 0));
    }
  }
}

TEST(Order, EitherWarpMayRunFarAhead) {
  int most[2] = {0, 0};
  for_each_seed(20, [&] {
    int steps[2] = {0, 0};
    int lead[2] = {0, 0};
    run_kernel({.grid = 1, .block = 64}, step, &steps[0], &lead[0]);
    most[0] = std::max(most[0], lead[0]);
    most[1] = std::max(most[1], lead[1]);
  });
  EXPECT_EQ(most[0], 16);
  EXPECT_EQ(most[1], 16);
}

// The engine's numbers for a failure's message.
TEST(Order, IsDescribedBySeedAndLaunch) {
  const SettingsGuard guard;
  restart_orders(7);
  noted_order();
  noted_order();
  EXPECT_EQ(order_description(), "seed 7, launch 2");
}

}  // namespace
}  // namespace warptape::simt
