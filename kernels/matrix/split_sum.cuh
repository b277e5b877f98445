#pragma once
// A split depth: every block of a tile sums a stretch of it, and the last of them adds up what all
// have summed.
//
// Partial sums lie in the order of registers, [split][tile][pack][thread] in packs of 16 bytes,
// and behind a tile's packs the sums of its rows, one per thread. So a thread writes and reads
// without a look at rows and columns, reads what threads of its own number wrote, and goes on as if
// its registers had summed the whole depth.
//
// The last block of a group of splits adds up the group's sums, into the place of its first; the
// last of these blocks adds up the groups'. No block reads many splits alone while others idle.
// Sums are added in the order of splits, whoever comes last, so that bits do not depend on it, and
// in the accumulator's type: with the additions here, a result is behind fewer roundings than
// without splits, for which it would be added to at each place of the depth.

#include "core/simt/arrive.cuh"
#include "core/simt/packs.cuh"
#include "kernels/matrix/plan.h"
#include "kernels/matrix/tile_store.cuh"

namespace warptape::matrix {

// Which part of the depth a launch's blocks sum: the tile's blocks along grid.z share it.
struct DepthSplit {
  int steps = 0;   // of the core's depth, per split
  int splits = 1;  // more than one: they meet in the workspace
  int sums_at_once = 1;
  int threads = block_threads;             // that have sums, of a block
  void* partials = nullptr;                // partial_sums() of the accumulator's type
  unsigned long long* arrivals = nullptr;  // arrivals_of() counters

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    if (splits > 1) {
      visit(static_cast<char*>(partials));
      visit(arrivals);
    }
  }
};

// Whether this block is the last one of `blocks`. All threads call it, behind their writes.
__device__ inline bool is_last_of(unsigned long long* arrivals, int blocks) {
  WARPTAPE_SHARED(bool, is_last, [1]);
  __syncthreads();  // all have written
  if (threadIdx.x == 0) {
    is_last[0] = simt::arrive_is_last(arrivals, static_cast<unsigned>(blocks));
  }
  __syncthreads();
  return is_last[0];
}

// False where another block goes on; else the sums have become those of all splits. All threads of
// the block take part. pack_at(i) is a thread's i-th pack of its `Packs`, a T[16 / sizeof(T)];
// row_sum is that of row threadIdx.x of `Rows`, and counts where sums_rows.
template <class T, int Packs, int Rows, class PackAt>
__device__ bool sums_of_all_splits(const DepthSplit& split, const PackAt& pack_at, bool sums_rows,
                                   double& row_sum) {
  constexpr int pack = simt::pack_size<T>;
  const int64_t packed = int64_t{Packs} * pack * split.threads;
  const int64_t of_tile = packed + partial_row_sums(Rows, sizeof(T));
  const int thread = static_cast<int>(threadIdx.x);
  const bool has_row = sums_rows && thread < Rows;
  const bool has_sums = thread < split.threads;
  T* const partials = static_cast<T*>(split.partials) + blockIdx.x * of_tile;
  const int64_t of_split = gridDim.x * of_tile;
  unsigned long long* arrivals = split.arrivals + blockIdx.x * gridDim.z;
  // Either way is the one in which such kernels' main loops stay within their registers.
  int place = static_cast<int>(Rows == 0 ? computed_here(blockIdx.z) : blockIdx.z);
  for (int distance = 1;;) {
    const int stretch = distance * split.sums_at_once;
    const int first = place / stretch * stretch;
    const int places = (split.splits - first + distance - 1) / distance;
    const int count = places < split.sums_at_once ? places : split.sums_at_once;
    T* const own = partials + place * of_split;
#pragma unroll
    for (int i = 0; i < Packs; ++i) {
      simt::Pack16<T> sums;
#pragma unroll
      for (int e = 0; e < pack; ++e) {
        sums[e] = pack_at(i)[e];
      }
      if (has_sums) {
        simt::store16(own + (i * split.threads + thread) * pack, sums);
      }
    }
    if (has_row) {
      reinterpret_cast<double*>(own + packed)[thread] = row_sum;
    }
    row_sum = 0;
    if (!is_last_of(arrivals + first, count)) {
      return false;
    }
    constexpr int batch = 4;  // loads that precede their use
    const int64_t of_place = distance * of_split;
    const T* const from = partials + first * of_split + thread * pack;
    const int to_add = has_sums ? count : 0;
#pragma unroll
    for (int i = 0; i < Packs; ++i) {
      const T* at = from + i * split.threads * pack;
      simt::Pack16<T> sum{};
#pragma unroll 1
      for (int rest = to_add; rest > 0; rest -= batch) {
        simt::Pack16<T> parts[batch];
#pragma unroll
        for (int b = 0; b < batch; ++b) {
          parts[b] = b < rest ? simt::load16(at + b * of_place) : simt::Pack16<T>{};
        }
#pragma unroll
        for (int b = 0; b < batch; ++b) {
#pragma unroll
          for (int e = 0; e < pack; ++e) {
            sum[e] += parts[b][e];
          }
        }
        at += batch * of_place;
      }
#pragma unroll
      for (int e = 0; e < pack; ++e) {
        pack_at(i)[e] = sum[e];
      }
    }
    if (has_row) {
      for (int i = 0; i < count; ++i) {
        row_sum += reinterpret_cast<const double*>(partials + (first + i * distance) * of_split +
                                                   packed)[thread];
      }
    }
    if (stretch >= split.splits) {
      return true;
    }
    place = first;
    distance = stretch;
    arrivals += gridDim.x * gridDim.z;
  }
}

}  // namespace warptape::matrix
