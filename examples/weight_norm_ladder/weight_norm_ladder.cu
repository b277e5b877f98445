#include "examples/weight_norm_ladder/weight_norm_ladder.h"

#include "core/device/launch.h"
#include "core/simt/reduce.cuh"

namespace warptape::ladder {
namespace {

constexpr int threads = 256;

// What a row is multiplied by; a row of zeros gives zeros.
__device__ float scale_of(float square, float g) {
  return square == 0 ? 0.0f : g / sqrtf(square);
}

// 1. One thread owns a row. Neighbouring threads read addresses a whole row apart, so that a warp's
//    load touches 32 sectors where 4 would do; and a weight with 64 rows keeps 64 threads busy.
__global__ void __launch_bounds__(threads)
    thread_per_row(const float* v, const float* g, float* w, int64_t rows, int64_t length) {
  const int64_t row = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (row >= rows) {
    return;
  }
  const float* from = v + row * length;
  float square = 0;
  for (int64_t i = 0; i < length; ++i) {
    square += from[i] * from[i];
  }
  const float scale = scale_of(square, g[row]);
  for (int64_t i = 0; i < length; ++i) {
    w[row * length + i] = scale * from[i];
  }
}

// 2. One block owns a row and its threads read neighbouring elements: every byte that is moved is
//    used. The sums of the threads meet in shared memory, in a tree with a barrier per level.
__global__ void __launch_bounds__(threads)
    block_per_row(const float* v, const float* g, float* w, int64_t length) {
  WARPTAPE_SHARED(float, sums, [threads]);
  const float* from = v + blockIdx.x * length;
  float square = 0;
  for (int64_t i = threadIdx.x; i < length; i += threads) {
    square += from[i] * from[i];
  }
  sums[threadIdx.x] = square;
  __syncthreads();
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    __syncthreads();
  }
  const float scale = scale_of(sums[0], g[blockIdx.x]);
  for (int64_t i = threadIdx.x; i < length; i += threads) {
    w[blockIdx.x * length + i] = scale * from[i];
  }
}

// 3. The tree within registers: lanes of a warp exchange values by shuffles, and one barrier is
// left.
__global__ void __launch_bounds__(threads)
    shuffles(const float* v, const float* g, float* w, int64_t length) {
  const float* from = v + blockIdx.x * length;
  float square = 0;
  for (int64_t i = threadIdx.x; i < length; i += threads) {
    square += from[i] * from[i];
  }
  const float scale = scale_of(simt::block_sum(square), g[blockIdx.x]);
  for (int64_t i = threadIdx.x; i < length; i += threads) {
    w[blockIdx.x * length + i] = scale * from[i];
  }
}

// 4. The row stays on chip between its norm and its scaling: v is read once, not twice. The loops
//    have a constant count, so that the array lies in registers.
__global__ void __launch_bounds__(threads)
    registers(const float* v, const float* g, float* w, int64_t length) {
  constexpr int items = longest_row / threads;
  const auto count = static_cast<int>(length);
  const auto first = static_cast<int>(threadIdx.x);
  const float* from = v + blockIdx.x * length;
  float row[items];
  float square = 0;
#pragma unroll
  for (int i = 0; i < items; ++i) {
    const int at = first + i * threads;
    row[i] = at < count ? from[at] : 0.0f;
    square += row[i] * row[i];
  }
  const float scale = scale_of(simt::block_sum(square), g[blockIdx.x]);
#pragma unroll
  for (int i = 0; i < items; ++i) {
    const int at = first + i * threads;
    if (at < count) {
      w[blockIdx.x * length + at] = scale * row[i];
    }
  }
}

// 5. Four elements per access: a quarter of the instructions, and more bytes under way per thread.
__global__ void __launch_bounds__(threads)
    packs(const float* v, const float* g, float* w, int64_t length) {
  using Pack = simt::Pack16<float>;
  constexpr int items = longest_row / threads / 4;
  const auto count = static_cast<int>(length);
  const auto first = static_cast<int>(threadIdx.x) * 4;
  const float* from = v + blockIdx.x * length;
  Pack row[items];
  float square = 0;
#pragma unroll
  for (int i = 0; i < items; ++i) {
    const int at = first + i * threads * 4;
    row[i] = at < count ? simt::load16(from + at) : Pack{};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      square += row[i][j] * row[i][j];
    }
  }
  const float scale = scale_of(simt::block_sum(square), g[blockIdx.x]);
#pragma unroll
  for (int i = 0; i < items; ++i) {
    const int at = first + i * threads * 4;
    if (at < count) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        row[i][j] *= scale;
      }
      simt::store16(w + blockIdx.x * length + at, row[i]);
    }
  }
}

}  // namespace

const char* name_of(Rung rung) {
  constexpr const char* names[] = {"thread_per_row", "block_per_row", "shuffles", "registers",
                                   "packs"};
  return names[static_cast<int>(rung)];
}

void weight_norm(Rung rung, const float* v, const float* g, float* w, int64_t rows, int64_t length,
                 gpu::StreamHandle stream) {
  LaunchConfig config{.grid = static_cast<unsigned>(rows),
                      .block = threads,
                      .stream = stream,
                      .name = name_of(rung)};
  switch (rung) {
    case Rung::ThreadPerRow:
      config.grid = static_cast<unsigned>((rows + threads - 1) / threads);
      launch(&thread_per_row, config, v, g, w, rows, length);
      break;
    case Rung::BlockPerRow:
      launch(&block_per_row, config, v, g, w, length);
      break;
    case Rung::Shuffles:
      launch(&shuffles, config, v, g, w, length);
      break;
    case Rung::Registers:
      launch(&registers, config, v, g, w, length);
      break;
    case Rung::Packs:
      launch(&packs, config, v, g, w, length);
      break;
  }
}

}  // namespace warptape::ladder
