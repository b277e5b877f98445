#include <cstring>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

struct Visit {
  int count;
  uint3 thread, block;
  dim3 block_dim, grid_dim;
};

__device__ unsigned linear_block() {
  return blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
}
__device__ unsigned linear_thread() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

__global__ void visit(bool barrier, Visit* visits) {
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  Visit& own = visits[linear_block() * threads + linear_thread()];
  if (barrier) {
    __syncthreads();
  }
  own = {own.count + 1, threadIdx, blockIdx, blockDim, gridDim};
}

TEST(Geometry, EveryThreadOfEveryBlockRunsOnceWithItsIndices) {
  const struct {
    dim3 grid, block;
  } launches[] = {{1, 1},
                  {{5}, {33}},
                  {{2, 3}, {4, 5}},
                  {{2, 3, 4}, {3, 4, 5}},
                  {{1, 1, 7}, 1024},
                  {{1, 9, 1}, {1, 32}},
                  {{3, 1, 2}, {1, 1, 64}}};
  for (const auto& [grid, block] : launches) {
    for (bool barrier : {false, true}) {
      for_each_seed(3, [&, grid = grid, block = block] {
        const unsigned blocks = grid.x * grid.y * grid.z;
        const unsigned threads = block.x * block.y * block.z;
        std::vector<Visit> visits(size_t{blocks} * threads);
        run_kernel({.grid = grid, .block = block}, visit, barrier, visits.data());
        for (unsigned i = 0; i < visits.size(); ++i) {
          const Visit& got = visits[i];
          const unsigned b = i / threads;
          const unsigned t = i % threads;
          EXPECT_EQ(got.count, 1);
          EXPECT_EQ(got.thread.x, t % block.x);
          EXPECT_EQ(got.thread.y, t / block.x % block.y);
          EXPECT_EQ(got.thread.z, t / block.x / block.y);
          EXPECT_EQ(got.block.x, b % grid.x);
          EXPECT_EQ(got.block.y, b / grid.x % grid.y);
          EXPECT_EQ(got.block.z, b / grid.x / grid.y);
          EXPECT_EQ(got.block_dim.x * got.block_dim.y * got.block_dim.z, threads);
          EXPECT_EQ(got.grid_dim.x * got.grid_dim.y * got.grid_dim.z, blocks);
        }
      });
    }
  }
}

// Warps are cut from the linear index, whatever the block's shape.
__global__ void warp_of(unsigned* out) {
  out[linear_thread()] = __shfl_sync(0xFFFFFFFFu, linear_thread(), 0);
}

TEST(Geometry, WarpsFollowTheLinearIndex) {
  std::vector<unsigned> out(96);
  run_kernel({.grid = 1, .block = {4, 8, 3}}, warp_of, out.data());
  for (unsigned i = 0; i < 96; ++i) {
    EXPECT_EQ(out[i], i / 32 * 32);
  }
}

__global__ void never(int* out) {
  *out = 1;
}

TEST(Geometry, AnEmptyGridRunsNothing) {
  int out = 0;
  run_kernel({.grid = 0, .block = 32}, never, &out);
  run_kernel({.grid = {4, 0}, .block = 32}, never, &out);
  EXPECT_EQ(out, 0);
}

TEST(Geometry, TooManyThreadsOrNoneAreErrors) {
  int out = 0;
  expect_parts(kernel_error({.grid = 1, .block = 1025, .name = "wide"}, never, &out),
               {"[wide] threads per block: got 1025 (1025, 1, 1), wanted 1 to 1024"});
  expect_parts(kernel_error({.grid = 1, .block = {32, 33}}, never, &out), {"got 1056"});
  // The product does not fit into 32 bits.
  expect_parts(kernel_error({.grid = 1, .block = {65536, 65536}}, never, &out), {"threads per"});
  expect_parts(kernel_error({.grid = 1, .block = {32, 0}}, never, &out), {"got 0 (32, 0, 1)"});
  expect_parts(kernel_error({.grid = 1, .block = {1, 1, 65}, .name = "deep"}, never, &out),
               {"[deep] threads per block: got (1, 1, 65), wanted at most 64 along z"});
  expect_parts(kernel_error({.grid = {1, 65536}, .block = 1}, never, &out),
               {"grid: got (1, 65536, 1)"});
  EXPECT_EQ(out, 0);
}

TEST(Geometry, OutsideOfKernelsThereIsNoPlace) {
  EXPECT_STREQ(where(), "");
}

__global__ void ask_where(char (*out)[256]) {
  std::strcpy(out[3 * blockIdx.z + threadIdx.y], where());
}

TEST(Geometry, WhereNamesKernelBlockAndThread) {
  char texts[6][256];
  run_kernel({.grid = {1, 1, 2}, .block = {1, 3}, .name = "lost"}, ask_where, &texts[0]);
  EXPECT_STREQ(texts[0], "in kernel lost, block (0, 0, 0), thread (0, 0, 0)");
  EXPECT_STREQ(texts[5], "in kernel lost, block (0, 0, 1), thread (0, 2, 0)");
}

}  // namespace
}  // namespace warptape::simt
