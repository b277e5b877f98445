// Planted races: each must be caught, and its twin with the barrier must pass under every order.
// Without ThreadSanitizer a wrong result under some order counts; with it, the report.

#include <numeric>
#include <vector>

#include "tests/emulator/engine/run_kernel.h"

namespace warptape::simt {
namespace {

std::vector<float> numbers(size_t count) {
  std::vector<float> result(count);
  std::iota(result.begin(), result.end(), 1.0f);
  return result;
}

// Read after write: others read what was not yet written.
template <bool Barrier>
__global__ void mirror(const float* in, float* out) {
  WARPTAPE_SHARED(float, staged, [128]);
  staged[threadIdx.x] = in[threadIdx.x];
  if (Barrier) {
    __syncthreads();
  }
  out[threadIdx.x] = staged[127 - threadIdx.x];
}

template <bool Barrier>
bool mirrors() {
  const std::vector<float> in = numbers(128);
  std::vector<float> out(128);
  run_kernel({.grid = 1, .block = 128, .name = "mirror"}, mirror<Barrier>, in.data(), out.data());
  return out == std::vector<float>(in.rbegin(), in.rend());
}

TEST(Race, ReadAfterWrite) {
  expect_always_right(mirrors<true>);
  expect_race(mirrors<false>);
}

// Write after read: the last warp in a chain must be a whole barrier interval behind the first one
// to show it. Orders in which all warps proceed at the same pace never do.
template <bool Barrier>
__global__ void sum_chunks(const float* in, float* out) {
  WARPTAPE_SHARED(float, chunk, [128]);
  float sum = 0;
  for (int i = 0; i < 4; ++i) {
    chunk[threadIdx.x] = in[128 * i + threadIdx.x];
    __syncthreads();
    for (unsigned j = 0; j < 128; ++j) {
      sum += chunk[j];
      if (j % 32 == 0) {
        __syncwarp();
      }
    }
    if (Barrier) {
      __syncthreads();
    }
  }
  out[threadIdx.x] = sum;
}

template <bool Barrier>
bool sums_chunks() {
  const std::vector<float> in = numbers(512);
  std::vector<float> out(128);
  run_kernel({.grid = 1, .block = 128, .name = "sum_chunks"}, sum_chunks<Barrier>, in.data(),
             out.data());
  return out == std::vector<float>(128, 512.0f * 513.0f / 2);
}

TEST(Race, WriteAfterRead) {
  expect_always_right(sums_chunks<true>);
  expect_race(sums_chunks<false>);
}

// Write after read by a copy that begins while others read: what they were to read may be gone from
// then on, though the copy ends behind a barrier.
template <bool Barrier>
__global__ void refill(const float* in, float* out) {
  WARPTAPE_SHARED(float, staged, [256]);
  for (unsigned i = 0; i < 4; ++i) {
    staged[4 * threadIdx.x + i] = in[4 * threadIdx.x + i];
  }
  __syncthreads();
  const float before = staged[255 - 4 * threadIdx.x];
  if (Barrier) {
    __syncthreads();
  }
  cp_async16(staged + 4 * threadIdx.x, in + 256 + 4 * threadIdx.x);
  cp_async_commit();
  __syncthreads();
  cp_async_wait<0>();
  __syncthreads();
  out[threadIdx.x] = before + staged[255 - 4 * threadIdx.x];
}

template <bool Barrier>
bool refills() {
  const std::vector<float> in = numbers(512);
  std::vector<float> out(64);
  run_kernel({.grid = 1, .block = 64, .name = "refill"}, refill<Barrier>, in.data(), out.data());
  std::vector<float> right(64);
  for (size_t i = 0; i < 64; ++i) {
    right[i] = in[255 - 4 * i] + in[511 - 4 * i];
  }
  return out == right;
}

TEST(Race, CopyBegunWhileOthersRead) {
  expect_always_right(refills<true>);
  expect_race(refills<false>);
}

// Within a warp: lanes run on their own between __syncwarp.
template <bool Barrier>
__global__ void scan_warp(const float* in, float* out) {
  WARPTAPE_SHARED(float, sums, [32]);
  sums[threadIdx.x] = in[threadIdx.x];
  __syncwarp();
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    const float left = threadIdx.x >= distance ? sums[threadIdx.x - distance] : 0;
    if (Barrier) {
      __syncwarp();
    }
    sums[threadIdx.x] += left;
    __syncwarp();
  }
  out[threadIdx.x] = sums[threadIdx.x];
}

template <bool Barrier>
bool scans_warp() {
  const std::vector<float> in = numbers(32);
  std::vector<float> expected(32);
  std::partial_sum(in.begin(), in.end(), expected.begin());
  std::vector<float> out(32);
  run_kernel({.grid = 1, .block = 32, .name = "scan_warp"}, scan_warp<Barrier>, in.data(),
             out.data());
  return out == expected;
}

TEST(Race, BetweenLanesOfAWarp) {
  expect_always_right(scans_warp<true>);
  expect_race(scans_warp<false>);
}

// A shuffle exchanges values and orders no memory: only __syncwarp does.
template <bool Barrier>
__global__ void hand_over(const float* in, float* out) {
  WARPTAPE_SHARED(float, staged, [32]);
  staged[threadIdx.x] = in[threadIdx.x];
  const int next = __shfl_sync(0xFFFFFFFFu, static_cast<int>(threadIdx.x), 31);
  if (Barrier) {
    __syncwarp();
  }
  out[threadIdx.x] = staged[(threadIdx.x + static_cast<unsigned>(next)) % 32];
}

template <bool Barrier>
bool hands_over() {
  const std::vector<float> in = numbers(32);
  std::vector<float> out(32);
  run_kernel({.grid = 1, .block = 32, .name = "hand_over"}, hand_over<Barrier>, in.data(),
             out.data());
  for (size_t i = 0; i < 32; ++i) {
    if (out[i] != in[(i + 31) % 32]) {
      return false;
    }
  }
  return true;
}

TEST(Race, AShuffleOrdersNoMemory) {
  expect_always_right(hands_over<true>);
  if (under_tsan) {  // only there: under the engine lanes do meet at a shuffle
    expect_race(hands_over<false>);
  } else {
    expect_always_right(hands_over<false>);
  }
}

// What the vocabulary reads and writes on a kernel's behalf counts as the kernel's.
template <bool Barrier>
__global__ void load_matrices(const bfloat16* in, uint32_t* out) {
  WARPTAPE_SHARED(bfloat16, matrices, [32][8]);
  store16(&matrices[31 - threadIdx.x][0], load16(in + 8 * threadIdx.x));
  if (Barrier) {
    __syncwarp();
  }
  uint32_t registers[4];
  ldmatrix_x4(registers, matrices[threadIdx.x]);
  out[threadIdx.x] = registers[0];
}

template <bool Barrier>
bool loads_matrices() {
  std::vector<Pack16<bfloat16>> in(32);
  for (unsigned i = 0; i < 256; ++i) {
    in[i / 8][i % 8].bits = static_cast<uint16_t>(i);
  }
  std::vector<uint32_t> out(32);
  run_kernel({.grid = 1, .block = 32, .name = "load_matrices"}, load_matrices<Barrier>,
             static_cast<const bfloat16*>(in[0].values), out.data());
  for (unsigned lane = 0; lane < 32; ++lane) {
    const unsigned element = 8 * (31 - lane / 4) + 2 * (lane % 4);
    if (out[lane] != (element | (element + 1) << 16)) {
      return false;
    }
  }
  return true;
}

TEST(Race, StoresBeforeLdmatrix) {
  expect_always_right(loads_matrices<true>);
  expect_race(loads_matrices<false>);
}

// Between blocks nothing is ordered: each must add to a place of its own.
template <bool Apart>
__global__ void add_blocks(const float* in, float* out) {
  const unsigned place = Apart ? blockIdx.x * blockDim.x + threadIdx.x : threadIdx.x;
  const float before = out[place];
  __syncthreads();
  out[place] = before + in[blockIdx.x * blockDim.x + threadIdx.x];
}

template <bool Apart>
void add_in_blocks() {
  const std::vector<float> in = numbers(64 * 32);
  std::vector<float> out(64 * 32, 0.0f);
  run_kernel({.grid = 64, .block = 32, .name = "add_blocks"}, add_blocks<Apart>, in.data(),
             out.data());
}

TEST(Race, BetweenBlocks) {
  add_in_blocks<true>();
  if (under_tsan) {
    EXPECT_EXIT(add_in_blocks<false>(), testing::ExitedWithCode(66), "in kernel .*data race");
  }
}

// On one OS thread too, where blocks run one after the other.
TEST(Race, BetweenBlocksOnOneWorker) {
  const SettingsGuard guard;
  settings().workers = 1;
  add_in_blocks<true>();
  if (under_tsan) {
    EXPECT_EXIT(add_in_blocks<false>(), testing::ExitedWithCode(66), "in kernel .*data race");
  }
}

// One launch after the other is ordered.
TEST(Race, NotBetweenLaunches) {
  expect_always_right([] {
    std::vector<float> in = numbers(128);
    std::vector<float> there(128), back(128);
    const Grid grid{.grid = 1, .block = 128};
    run_kernel(grid, mirror<true>, static_cast<const float*>(in.data()), there.data());
    run_kernel(grid, mirror<true>, static_cast<const float*>(there.data()), back.data());
    const bool right = in == back;
    in.assign(128, 0.0f);
    return right;
  });
}

__global__ void write_one(float* out) {
  WARPTAPE_SHARED(float, memory, [4]);
  memory[threadIdx.x % 2] = 1.0f;
  out[threadIdx.x] = 1.0f;
}

// The same value from two threads is a race too.
TEST(Race, EqualValuesFromTwoThreads) {
  std::vector<float> out(32);
  const auto run = [&] {
    run_kernel({.grid = 1, .block = 32, .name = "write_one"}, write_one, out.data());
  };
  if (under_tsan) {
    EXPECT_EXIT(run(), testing::ExitedWithCode(66), "in kernel write_one.*data race.*write_one");
  } else {
    run();
    EXPECT_EQ(out, std::vector<float>(32, 1.0f));
  }
}

}  // namespace
}  // namespace warptape::simt
