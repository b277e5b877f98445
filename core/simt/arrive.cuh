#pragma once
// A memory fence among blocks, the only one: letting the last block of a launch finish the job of
// all.

#include "core/simt/build.h"
#include "core/simt/simt.h"

namespace warptape::simt {

// Called once per block, by one thread that has read or written what matters (behind a barrier, if
// others have too). True for the last of `blocks` arrivals, which then sees all that the others did
// before they arrived. `counter` is device memory, 0 before the first launch and again after the
// last arrival.
__device__ inline bool arrive_is_last(unsigned long long* counter, unsigned blocks) {
#ifdef WARPTAPE_SIMT
  // Acquire and release instead of fences, which ThreadSanitizer does not follow.
  std::atomic_ref<unsigned long long> count(*counter);
  const bool last = count.fetch_add(1, std::memory_order_acq_rel) + 1 == blocks;
  if (last) {
    count.store(0, std::memory_order_release);
  }
#else
  __threadfence();
  const bool last = atomicAdd(counter, 1ull) + 1 == blocks;
  if (last) {
    *counter = 0;
    __threadfence();
  }
#endif
  return last;
}

}  // namespace warptape::simt
