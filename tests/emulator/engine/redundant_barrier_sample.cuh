#pragma once
// A kernel with a barrier that nothing needs and one that no test executes, for the test of
// tools/mutate_barriers.sh, which must name both.

#include "core/simt/simt.h"

namespace warptape::simt {

__global__ inline void copy_cautiously(const float* in, bool twice, float* out) {
  out[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  if (twice) {
    __syncthreads();
  }
}

}  // namespace warptape::simt
