#pragma once
// Adding up what several blocks have summed of the same results, in a launch of its own.

#include "core/simt/simt.h"
#include "kernels/matrix/plan.h"

namespace warptape::depthwise {

using matrix::block_threads;

// The threads of a block take neighbouring results, `sharers` threads each: a thread adds up every
// sharers-th chunk, and then one of them adds their sums. The order is always the same, and with it
// the bits. All threads of the block take part. load(chunk, result): what a block has summed, a T.
template <class T>
class ChunkSum {
 public:
  template <class Load>
  __device__ ChunkSum(int64_t results, int chunks, int sharers, const Load& load) {
    WARPTAPE_SHARED(T, shared, [block_threads]);
    const int thread = static_cast<int>(threadIdx.x);
    const int lanes = block_threads / sharers;
    index_ = int64_t{blockIdx.x} * lanes + thread % lanes;
    is_mine_ = index_ < results && thread < lanes;
    if (index_ < results) {
#pragma unroll 4
      for (int chunk = thread / lanes; chunk < chunks; chunk += sharers) {
        value_ += load(chunk, index_);
      }
    }
    if (sharers == 1) {
      return;
    }
    shared[thread] = value_;
    __syncthreads();
    if (is_mine_) {
      for (int sharer = 1; sharer < sharers; ++sharer) {
        value_ += shared[sharer * lanes + thread];
      }
    }
  }

  // Whether this thread has a result, its index, and its sum.
  __device__ bool is_mine() const {
    return is_mine_;
  }
  __device__ int64_t index() const {
    return index_;
  }
  __device__ T value() const {
    return value_;
  }

 private:
  int64_t index_ = 0;
  T value_ = 0;
  bool is_mine_ = false;
};

}  // namespace warptape::depthwise
