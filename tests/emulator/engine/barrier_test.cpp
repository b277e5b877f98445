#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

// Each thread writes its place and reads its mirror image's.
__global__ void reverse_block(int* out) {
  WARPTAPE_SHARED(int, place, [256]);
  place[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  out[blockIdx.x * blockDim.x + threadIdx.x] = place[blockDim.x - 1 - threadIdx.x];
}

TEST(Barrier, EverythingBeforeIsSeenAfter) {
  for (unsigned threads : {1u, 31u, 32u, 33u, 100u, 256u}) {
    for_each_seed(4, [&] {
      std::vector<int> out(3 * threads);
      run_kernel({.grid = 3, .block = threads}, reverse_block, out.data());
      for (unsigned i = 0; i < out.size(); ++i) {
        EXPECT_EQ(out[i], static_cast<int>(threads - 1 - i % threads)) << i;
      }
    });
  }
}

// A tree sum: as many barriers as it has levels.
__global__ void sum_block(const int* in, int* out) {
  WARPTAPE_SHARED(int, partial, [256]);
  partial[threadIdx.x] = in[blockIdx.x * blockDim.x + threadIdx.x];
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    out[blockIdx.x] = partial[0];
  }
}

TEST(Barrier, ManyInALoop) {
  constexpr unsigned blocks = 9;
  constexpr unsigned threads = 256;
  std::vector<int> in(blocks * threads);
  std::vector<int> expected(blocks, 0);
  for (unsigned i = 0; i < in.size(); ++i) {
    in[i] = static_cast<int>(i * 7 % 101);
    expected[i / threads] += in[i];
  }
  for_each_seed(8, [&] {
    std::vector<int> out(blocks);
    run_kernel({.grid = blocks, .block = threads}, sum_block, static_cast<const int*>(in.data()),
               out.data());
    EXPECT_EQ(out, expected);
  });
}

struct Predicates {
  int count, all, any;
};

// Predicates other than 0 and 1 count once, as in CUDA. Twice, as the second round must not see the
// first one's totals.
__global__ void combine(unsigned true_below, Predicates* out) {
  for (int round = 0; round < 2; ++round) {
    const int predicate = threadIdx.x < true_below ? 6 : 0;
    const int count = __syncthreads_count(predicate);
    const int all = __syncthreads_and(predicate);
    const int any = __syncthreads_or(predicate);
    out[threadIdx.x] = {count, all, any};
  }
}

TEST(Barrier, CountsAndCombinesPredicates) {
  for (unsigned threads : {1u, 33u, 128u}) {
    for (unsigned true_below : {0u, 1u, threads / 2, threads}) {
      std::vector<Predicates> out(threads);
      run_kernel({.grid = 1, .block = threads}, combine, true_below, out.data());
      for (const Predicates& got : out) {
        EXPECT_EQ(got.count, static_cast<int>(true_below)) << threads;
        EXPECT_EQ(got.all != 0, true_below == threads);
        EXPECT_EQ(got.any != 0, true_below > 0);
      }
    }
  }
}

// Halves of a warp synchronise on their own; each must see what its own half wrote.
__global__ void reverse_halves(int* out) {
  WARPTAPE_SHARED(int, place, [64]);
  const unsigned lane = threadIdx.x % 32;
  const unsigned half = lane / 16;
  const unsigned mask = half == 0 ? 0x0000FFFFu : 0xFFFF0000u;
  for (unsigned round = 0; round < 2 + half; ++round) {
    place[threadIdx.x] = static_cast<int>(threadIdx.x + 100 * round);
    __syncwarp(mask);
    out[threadIdx.x] = place[threadIdx.x ^ 15];
    __syncwarp(mask);
  }
}

TEST(Barrier, SyncwarpOfHalfAWarp) {
  for_each_seed(20, [] {
    std::vector<int> out(64);
    run_kernel({.grid = 1, .block = 64}, reverse_halves, out.data());
    for (unsigned i = 0; i < 64; ++i) {
      const unsigned rounds = 2 + i % 32 / 16;
      EXPECT_EQ(out[i], static_cast<int>((i ^ 15) + 100 * (rounds - 1))) << i;
    }
  });
}

// One lane alone, then pairs, then all: masks that overlap in time only through other lanes.
__global__ void growing_masks(int* out) {
  WARPTAPE_SHARED(int, value, [32]);
  const unsigned lane = threadIdx.x;
  value[lane] = 1;
  __syncwarp(1u << lane);
  for (unsigned size = 2; size <= 32; size *= 2) {
    const unsigned first = lane & ~(size - 1);
    const unsigned group = (size == 32 ? ~0u : (1u << size) - 1) << first;
    __syncwarp(group);
    const int other = value[lane ^ (size / 2)];
    __syncwarp(group);
    value[lane] += other;
  }
  out[lane] = value[lane];
}

TEST(Barrier, SyncwarpOfGrowingGroups) {
  for_each_seed(20, [] {
    std::vector<int> out(32);
    run_kernel({.grid = 1, .block = 32}, growing_masks, out.data());
    EXPECT_EQ(out, std::vector<int>(32, 32));
  });
}

}  // namespace
}  // namespace warptape::simt
