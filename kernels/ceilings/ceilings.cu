#include "core/device/launch.h"
#include "core/simt/tensor_core.h"
#include "kernels/ceilings/ceilings.h"

namespace warptape::on_cuda {
namespace {

constexpr int sums_of_thread = 16;

// Every thread keeps 16 sums in registers.
__global__ void __launch_bounds__(ceiling_threads)
    multiply_add_kernel(int64_t rounds, float factor, float addend, float* sums) {
  float values[sums_of_thread];
#pragma unroll
  for (int i = 0; i < sums_of_thread; ++i) {
    values[i] = static_cast<float>(threadIdx.x + i);
  }
  for (int64_t round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < sums_of_thread; ++i) {
      values[i] = fmaf(values[i], factor, addend);
    }
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < sums_of_thread; ++i) {
    total += values[i];
  }
  sums[int64_t{blockIdx.x} * ceiling_threads + threadIdx.x] = total;
}

constexpr int tiles_of_warp = 8;

// Every warp adds to eight tiles of 16 x 8.
__global__ void __launch_bounds__(ceiling_threads)
    multiply_add_bfloat16_kernel(int64_t rounds, uint32_t pair, float* sums) {
  float tiles[tiles_of_warp][4] = {};
  const uint32_t a[4] = {pair, pair, pair, pair};
  const uint32_t b[2] = {pair, pair};
  for (int64_t round = 0; round < rounds; ++round) {
#pragma unroll
    for (int i = 0; i < tiles_of_warp; ++i) {
      simt::mma_m16n8k16(tiles[i], a, b);
    }
  }
  float total = 0;
#pragma unroll
  for (int i = 0; i < tiles_of_warp; ++i) {
    total += tiles[i][0] + tiles[i][1] + tiles[i][2] + tiles[i][3];
  }
  sums[int64_t{blockIdx.x} * ceiling_threads + threadIdx.x] = total;
}

LaunchConfig config_of(gpu::StreamHandle stream, int64_t blocks, const char* name) {
  return {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(ceiling_threads),
          .stream = stream,
          .name = name};
}

}  // namespace

int64_t multiply_add(gpu::StreamHandle stream, int64_t blocks, int64_t rounds, float* sums) {
  launch(multiply_add_kernel, config_of(stream, blocks, "multiply_add"), rounds, 0.999F, 0.001F,
         sums);
  return blocks * ceiling_threads * rounds * sums_of_thread * 2;
}

int64_t multiply_add_bfloat16(gpu::StreamHandle stream, int64_t blocks, int64_t rounds,
                              float* sums) {
  constexpr uint32_t pair_of_small = 0x3C003C00U;  // 2^-7 twice
  launch(multiply_add_bfloat16_kernel, config_of(stream, blocks, "multiply_add_bfloat16"), rounds,
         pair_of_small, sums);
  constexpr int64_t flops_of_tile = 2 * 16 * 8 * 16;
  return blocks * (ceiling_threads / 32) * rounds * tiles_of_warp * flops_of_tile;
}

}  // namespace warptape::on_cuda
