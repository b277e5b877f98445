#pragma once
// A step that writes what weight norm makes of the values that it updates. A block owns whole rows
// of such a weight, as weight norm's own kernel has them (weight_norm_geometry.h): behind a barrier
// it does with them what that kernel would, so that the bits are the same.

#include "kernels/optimizer/optimizer_step.cuh"
#include "kernels/weight_norm/weight_norm.cuh"

namespace warptape::optimizer_detail {

using WeightTable = LaunchTable<NormalizedEntry, 32>;

template <class W>
__device__ void normalize_rows(const NormalizedEntry& entry, unsigned block, double* warp_sums) {
  using namespace weight_norm_detail;
  const WeightNormForward<float, W> weight{.v = entry.v.value,
                                           .g = entry.g.value,
                                           .w = static_cast<W*>(entry.w),
                                           .norm = nullptr,
                                           .inv_norm = entry.inv_norm,
                                           .rows = entry.rows,
                                           .length = entry.length};
  if (entry.geometry.layout == Layout::Staged) {
    forward_staged(weight, entry.geometry, block);
  } else {
    forward_team(weight, entry.geometry.lanes, block, warp_sums);
  }
}

// Rows of g go element by element. So do those of v that need not start at a pack.
template <class Rule>
__device__ void update_rows(const NormalizedEntry& entry, const Rule& of_v, const Rule& of_g,
                            unsigned block) {
  const int64_t first = int64_t{block} * entry.geometry.rows_per_block;
  const int64_t left = entry.rows - first;
  const auto rows =
      static_cast<int>(left < entry.geometry.rows_per_block ? left : entry.geometry.rows_per_block);
  const int64_t begin = first * entry.length;
  const Clip<float> clip = clip_of(entry.v);
  visit_elements<float>(
      begin, rows * static_cast<int>(entry.length), begin % simt::pack_size<float> == 0,
      [&](int64_t at) { update_pack(entry.v, of_v, clip, at); },
      [&](int64_t at) { update_element(entry.v, of_v, clip, at); });
  if (entry.g.step != nullptr) {
    const Clip<float> clip_g = clip_of(entry.g);
    for (int i = static_cast<int>(threadIdx.x); i < rows; i += threads) {
      update_element(entry.g, of_g, clip_g, first + i);
    }
  }
}

// Blocks own rows of the weights first, then chunks of the other values. With a bound of three
// blocks on a multiprocessor no register is spilled; without one there are, on sm_100.
template <class Rule>
__global__ void __launch_bounds__(threads, 3)
    normalizing_step(const Table<UpdateEntry<float>> __grid_constant__ table,
                     const WeightTable __grid_constant__ weights,
                     typename Rule::Constants constants, const double* learning_rate,
                     unsigned long long* arrivals) {
  WARPTAPE_SHARED(Rule, rules, [2]);
  WARPTAPE_SHARED(bool, is_last, [1]);
  WARPTAPE_SHARED(double, warp_sums, [threads / 32]);
  const bool has_rows = blockIdx.x < weights.blocks;
  const unsigned block = has_rows ? blockIdx.x : blockIdx.x - weights.blocks;
  const int index = has_rows ? weights.entry_of(block) : table.entry_of(block);
  if (threadIdx.x == 0) {
    const int64_t* const step =
        has_rows ? weights.entries[index].v.step : table.entries[index].step;
    rules[0] = Rule::make(constants, *learning_rate, *step + 1);
    if (has_rows && weights.entries[index].g.step != nullptr) {
      rules[1] = Rule::make(constants, *learning_rate, *weights.entries[index].g.step + 1);
    }
    is_last[0] = simt::arrive_is_last(arrivals, gridDim.x);
  }
  __syncthreads();
  // The last block to have read its step counts them all up.
  if (is_last[0]) {
    for (int i = static_cast<int>(threadIdx.x); i < table.count; i += threads) {
      ++*table.entries[i].step;
    }
    for (int i = static_cast<int>(threadIdx.x); i < weights.count; i += threads) {
      ++*weights.entries[i].v.step;
      if (weights.entries[i].g.step != nullptr) {
        ++*weights.entries[i].g.step;
      }
    }
  }
  if (has_rows) {
    const NormalizedEntry& entry = weights.entries[index];
    const unsigned own = block - weights.first_block[index];
    update_rows(entry, rules[0], rules[1], own);
    __syncthreads();
    if (entry.w_is_bfloat16) {
      normalize_rows<simt::bfloat16>(entry, own, warp_sums);
    } else {
      normalize_rows<float>(entry, own, warp_sums);
    }
  } else {
    update_chunk(table.entries[index], rules[0], block - table.first_block[index]);
  }
}

}  // namespace warptape::optimizer_detail
