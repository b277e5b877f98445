#pragma once
// A kernel with a barrier of each kind, all of them needed, for the test of
// tools/mutate_barriers.sh.

#include <cmath>

#include "core/simt/simt.h"

namespace warptape::simt {

// out[t] is the sum over tiles of one element that another warp brought and another lane read. in:
// tiles x 256, ends early at a NaN. One block of 64 threads.
__global__ inline void sum_across(const float* in, int tiles, float* out) {
  WARPTAPE_SHARED(float, staged, [256]);
  WARPTAPE_SHARED(float, exchanged, [64]);
  const unsigned t = threadIdx.x;
  float sum = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    cp_async16(staged + 4 * t, in + 256 * tile + 4 * t);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    exchanged[t] = staged[(4 * t + 128) % 256];
    __syncwarp();
    sum += exchanged[t ^ 1];
    if (__syncthreads_or(std::isnan(sum)) != 0) {
      break;
    }
  }
  out[t] = sum;
}

}  // namespace warptape::simt
