#pragma once
// The end of a kernel that sums losses up: blocks leave their sums, and the last one adds them, in
// the order of the blocks.

#include "core/element_types.h"
#include "core/simt/arrive.cuh"
#include "core/simt/reduce.cuh"
#include "kernels/losses/loss_cuda.h"

namespace warptape::losses {

// All threads of a launch call it, each with its part of the sum and of the count, which is asked
// for where sums.counted is not null. The loss is the sum over the count, or over `divisor`.
template <class T>
__device__ void finish_sums(double sum, int64_t count, double divisor, const LossSums<T>& sums) {
  WARPTAPE_SHARED(bool, is_last, [1]);
  const bool counts = sums.counted != nullptr;
  const unsigned blocks = gridDim.x;
  sum = simt::block_sum(sum);
  if (counts) {
    count = simt::block_sum(count);
  }
  if (blocks > 1) {
    if (threadIdx.x == 0) {
      sums.partials[blockIdx.x] = sum;
      if (counts) {
        sums.partials[blocks + blockIdx.x] = static_cast<double>(count);
      }
      is_last[0] = simt::arrive_is_last(sums.arrivals, blocks);
    }
    __syncthreads();
    if (!is_last[0]) {
      return;
    }
    sum = 0;
    double counted = 0;
    for (unsigned i = threadIdx.x; i < blocks; i += blockDim.x) {
      sum += sums.partials[i];
      counted += counts ? sums.partials[blocks + i] : 0;
    }
    sum = simt::block_sum(sum);
    if (counts) {
      __syncthreads();
      count = static_cast<int64_t>(simt::block_sum(counted));
    }
  }
  if (threadIdx.x == 0) {
    const double by = counts ? static_cast<double>(count) : divisor;
    *sums.loss = static_cast<T>(sum / by);
    if (counts) {
      *sums.counted = by;
    }
  }
}

}  // namespace warptape::losses
