#pragma once
// Reductions within a warp and within a block. The order of the combinations is fixed, so that a
// result has the same bits every time. `combine` must be commutative.

#include "core/simt/simt.h"

namespace warptape::simt {

struct Sum {
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};

// A struct that is reduced has a shuffle_xor of its own in its namespace, member by member.
template <class T>
__device__ T shuffle_xor(T value, int lane_mask) {
  return __shfl_xor_sync(0xFFFFFFFFu, value, lane_mask);
}

// Combines the values of every `width` neighbouring lanes (a power of two up to 32) and gives the
// result to all of them. All lanes of the warp must call it.
template <class T, class Combine>
__device__ T warp_reduce(T value, Combine combine, unsigned width = 32) {
  for (unsigned offset = width / 2; offset > 0; offset /= 2) {
    value = combine(value, shuffle_xor(value, static_cast<int>(offset)));
  }
  return value;
}

template <class T>
__device__ T warp_sum(T value, unsigned width = 32) {
  return warp_reduce(value, Sum(), width);
}

// The same over a one-dimensional block of whole warps. All threads must call it. A kernel that
// calls it again with the same T and Combine needs a __syncthreads() in between.
template <class T, class Combine>
__device__ T block_reduce(T value, T identity, Combine combine) {
  WARPTAPE_SHARED(T, of_warp, [32]);
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32;
  value = warp_reduce(value, combine);
  if (lane == 0) {
    of_warp[warp] = value;
  }
  __syncthreads();
  return warp_reduce(lane < blockDim.x / 32 ? of_warp[lane] : identity, combine);
}

template <class T>
__device__ T block_sum(T value) {
  return block_reduce(value, T(0), Sum());
}

}  // namespace warptape::simt
