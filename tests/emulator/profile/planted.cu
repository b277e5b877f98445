#include "tests/emulator/profile/planted.h"

#include <functional>
#include <vector>

#include "core/simt/simt.h"
#include "emulator/engine/engine.h"

namespace warptape::planted {
namespace {

constexpr int side = 128;
constexpr int tile = 32;
constexpr int count = 4096;

__global__ void naive_transpose_kernel(const float* from, float* to) {
  const unsigned x = blockIdx.x * tile + threadIdx.x;
  const unsigned y = blockIdx.y * tile + threadIdx.y;
  to[x * side + y] = from[y * side + x];
}

template <int Pitch>
__global__ void tiled_transpose_kernel(const float* from, float* to) {
  WARPTAPE_SHARED(float, rows, [tile][Pitch]);
  const unsigned x = threadIdx.x;
  const unsigned y = threadIdx.y;
  rows[y][x] = from[(blockIdx.y * tile + y) * side + blockIdx.x * tile + x];
  __syncthreads();
  to[(blockIdx.x * tile + y) * side + blockIdx.y * tile + x] = rows[x][y];
}

__global__ void row_per_thread_kernel(const float* rows, float* sums) {
  const unsigned row = blockIdx.x * blockDim.x + threadIdx.x;
  float sum = 0;
  for (unsigned i = 0; i < 64; ++i) {
    sum += rows[row * 64 + i];
  }
  sums[row] = sum;
}

__global__ void row_per_warp_kernel(const float* rows, float* sums) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned row = blockIdx.x * blockDim.x / 32 + threadIdx.x / 32;
  float sum = rows[row * 64 + lane] + rows[row * 64 + 32 + lane];
  for (int step = 16; step > 0; step /= 2) {
    sum += __shfl_xor_sync(~0u, sum, step);
  }
  if (lane == 0) {
    sums[row] = sum;
  }
}

__global__ void copy_by_4_kernel(const float* from, float* to) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  to[i] = from[i];
}

__global__ void copy_by_16_kernel(const float* from, float* to) {
  const unsigned i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  simt::store16(to + i, simt::load16(from + i));
}

__global__ void copy_by_one_lane_kernel(const float* from, float* to) {
  const unsigned first = blockIdx.x * blockDim.x + threadIdx.x;
  if (threadIdx.x % 32 == 0) {
    for (unsigned i = 0; i < 32; ++i) {
      to[first + i] = from[first + i];
    }
  }
}

__global__ void copy_async_kernel(const float* from, float* to) {
  WARPTAPE_SHARED(float, staged, [4 * 256]);
  const unsigned i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);
  simt::cp_async16(staged + 4 * threadIdx.x, from + i);
  simt::cp_async_commit();
  simt::cp_async_wait<0>();
  simt::store16(to + i, simt::load16(staged + 4 * threadIdx.x));
}

__global__ void shared_by_16_kernel(float* to) {
  float* values = simt::dynamic_shared<float>();
  simt::store16(values + 4 * threadIdx.x, simt::Pack16<float>{{1, 2, 3, 4}});
  __syncthreads();
  const unsigned other = blockDim.x - 1 - threadIdx.x;
  simt::store16(to + 4 * threadIdx.x, simt::load16(values + 4 * other));
}

__global__ void broadcast_and_count_kernel(const float* value, unsigned* counter) {
  if (*value >= 0) {
    atomicAdd(counter, 1);
  }
}

__global__ void uneven_loop_kernel(const float* from, float* to) {
  float sum = 0;
  for (unsigned i = 0; i <= threadIdx.x; ++i) {
    sum += from[32 * i + threadIdx.x];
  }
  to[threadIdx.x] = sum;
}

KernelProfile profile_of(const simt::Grid& grid,
                         const std::function<void(const float* from, float* to)>& body) {
  constexpr size_t elements = side * side;
  std::vector<float> memory(2 * elements + 64, 1.0F);
  auto begin = reinterpret_cast<uintptr_t>(memory.data());
  float* from = memory.data() + (256 - begin % 256) / sizeof(float);
  simt::profile::start({memory.data(), memory.data() + memory.size()});
  simt::run_grid(grid, [&] { body(from, from + elements); });
  return simt::profile::stop().at(0);
}

simt::Grid grid_of(unsigned threads, unsigned per_block) {
  return {.grid = threads / per_block, .block = per_block};
}

}  // namespace

KernelProfile transpose_naive() {
  return profile_of({.grid = {4, 4}, .block = {32, 32}}, naive_transpose_kernel);
}
KernelProfile transpose_unpadded() {
  return profile_of({.grid = {4, 4}, .block = {32, 32}}, tiled_transpose_kernel<32>);
}
KernelProfile transpose_padded() {
  return profile_of({.grid = {4, 4}, .block = {32, 32}}, tiled_transpose_kernel<33>);
}
KernelProfile row_per_thread() {
  return profile_of(grid_of(128, 64), row_per_thread_kernel);
}
KernelProfile row_per_warp() {
  return profile_of(grid_of(128 * 32, 256), row_per_warp_kernel);
}
KernelProfile copy_by_4() {
  return profile_of(grid_of(count, 256), copy_by_4_kernel);
}
KernelProfile copy_by_16() {
  return profile_of(grid_of(count / 4, 256), copy_by_16_kernel);
}
KernelProfile copy_by_one_lane() {
  return profile_of(grid_of(count, 256), copy_by_one_lane_kernel);
}
KernelProfile copy_shifted() {
  return profile_of(grid_of(count, 256),
                    [](const float* from, float* to) { copy_by_4_kernel(from + 1, to); });
}
KernelProfile copy_async() {
  return profile_of(grid_of(count / 4, 256), copy_async_kernel);
}
KernelProfile shared_by_16() {
  return profile_of({.grid = 1, .block = 64, .dynamic_shared = 64 * 16},
                    [](const float*, float* to) { shared_by_16_kernel(to); });
}
KernelProfile broadcast_and_count() {
  return profile_of({.grid = 1, .block = 256}, [](const float* from, float* to) {
    broadcast_and_count_kernel(from, reinterpret_cast<unsigned*>(to));
  });
}
KernelProfile uneven_loop() {
  return profile_of({.grid = 1, .block = 32}, uneven_loop_kernel);
}

}  // namespace warptape::planted
