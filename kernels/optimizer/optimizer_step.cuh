#pragma once
// Kernels over all parameters of a model. A block owns a chunk of one tensor; the table says of
// which.

#include "core/element_types.h"
#include "core/simt/arrive.cuh"
#include "core/simt/packs.cuh"
#include "core/simt/reduce.cuh"
#include "kernels/multi_tensor/launch_table.h"
#include "kernels/optimizer/optimizer_step_cuda.h"
#include "kernels/reduce/robust_norm.h"

namespace warptape::optimizer_detail {

inline constexpr int threads = 256;
inline constexpr int packs_per_thread = 4;

// Elements of a tensor that one block owns. Sums take more: what a block leaves is read once more.
template <class T>
inline constexpr int64_t chunk = int64_t{threads} * packs_per_thread* simt::pack_size<T>;
template <class T>
inline constexpr int64_t sum_chunk = 4 * chunk<T>;

template <class Entry>
using Table = LaunchTable<Entry, 256>;

// Calls packed(offset) for the 16-byte packs and single(offset) for the elements of this thread
// among `count` from `begin` on, which a pack starts at. Without `aligned`, all go one by one.
template <class T, class Packed, class Single>
__device__ void visit_elements(int64_t begin, int count, bool aligned, const Packed& packed,
                               const Single& single) {
  constexpr int pack = simt::pack_size<T>;
  const int packs = aligned ? count / pack : 0;
  const auto thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < packs; i += threads) {
    packed(begin + i * pack);
  }
  for (int i = packs * pack + thread; i < count; i += threads) {
    single(begin + i);
  }
}

// The same in the block's chunk of [0, numel).
template <class T, class Packed, class Single>
__device__ void visit_chunk(unsigned block, int64_t numel, bool aligned, const Packed& packed,
                            const Single& single) {
  const int64_t begin = int64_t{block} * chunk<T>;
  const int64_t left = numel - begin;
  visit_elements<T>(begin, static_cast<int>(left < chunk<T> ? left : chunk<T>), aligned, packed,
                    single);
}

template <class Rule, class T>
__device__ bool is_aligned(const UpdateEntry<T>& entry) {
  bool aligned = simt::is_aligned16(entry.value) && simt::is_aligned16(entry.grad) &&
                 simt::is_aligned16(entry.rounded);
#pragma unroll
  for (int k = 0; k < Rule::buffers; ++k) {
    aligned = aligned && simt::is_aligned16(entry.buffers[k]);
  }
  return aligned;
}

// A pack of T as a rule computes with it.
template <class T>
using Values = simt::Pack<Compute<T>, simt::pack_size<T>>;

// A gradient that is clipped; by 1 it stays as it is.
template <class T>
struct Clip {
  Compute<T> factor;
  __device__ T operator()(T grad) const { return static_cast<T>(grad * factor); }
};

template <class T>
__device__ Values<T> load_or_zero(const T* pointer, int64_t offset) {
  return pointer == nullptr ? Values<T>{}
                            : simt::cast_pack<Compute<T>>(simt::load16(pointer + offset));
}

// Returns what it has written to the value.
template <class T, class Rule>
__device__ simt::Pack16<T> update_pack(const UpdateEntry<T>& entry, const Rule& rule,
                                       const Clip<T>& clip, int64_t at) {
  Values<T> value = load_or_zero(entry.value, at);
  const simt::Pack16<T> grad = simt::load16(entry.grad + at);
  Values<T> buffers[Rule::buffers];
#pragma unroll
  for (int k = 0; k < Rule::buffers; ++k) {
    buffers[k] = load_or_zero(entry.buffers[k], at);
  }
#pragma unroll
  for (int j = 0; j < simt::pack_size<T>; ++j) {
    Compute<T> own[Rule::buffers];
#pragma unroll
    for (int k = 0; k < Rule::buffers; ++k) {
      own[k] = buffers[k][j];
    }
    rule(value[j], static_cast<Compute<T>>(clip(grad[j])), own);
#pragma unroll
    for (int k = 0; k < Rule::buffers; ++k) {
      buffers[k][j] = own[k];
    }
  }
  const simt::Pack16<T> written = simt::cast_pack<T>(value);
  simt::store16(entry.value + at, written);
  if constexpr (std::is_same_v<T, float>) {
    if (entry.rounded != nullptr) {
      simt::store8(entry.rounded + at, simt::cast_pack<simt::bfloat16>(value));
    }
  }
#pragma unroll
  for (int k = 0; k < Rule::buffers; ++k) {
    if (entry.buffers[k] != nullptr) {
      simt::store16(entry.buffers[k] + at, simt::cast_pack<T>(buffers[k]));
    }
  }
  return written;
}

// The same of one element.
template <class T, class Rule>
__device__ T update_element(const UpdateEntry<T>& entry, const Rule& rule, const Clip<T>& clip,
                            int64_t at) {
  Compute<T> value = entry.value[at];
  Compute<T> own[Rule::buffers];
#pragma unroll
  for (int k = 0; k < Rule::buffers; ++k) {
    own[k] = entry.buffers[k] == nullptr ? 0 : static_cast<Compute<T>>(entry.buffers[k][at]);
  }
  rule(value, static_cast<Compute<T>>(clip(entry.grad[at])), own);
  const T written = static_cast<T>(value);
  entry.value[at] = written;
  if constexpr (std::is_same_v<T, float>) {
    if (entry.rounded != nullptr) {
      entry.rounded[at] = static_cast<simt::bfloat16>(value);
    }
  }
#pragma unroll
  for (int k = 0; k < Rule::buffers; ++k) {
    if (entry.buffers[k] != nullptr) {
      entry.buffers[k][at] = static_cast<T>(own[k]);
    }
  }
  return written;
}

template <class T>
__device__ Clip<T> clip_of(const UpdateEntry<T>& entry) {
  return {entry.factor == nullptr ? Compute<T>(1) : static_cast<Compute<T>>(*entry.factor)};
}

template <class T, class Rule>
__device__ void update_chunk(const UpdateEntry<T>& entry, const Rule& rule, unsigned block) {
  const Clip<T> clip = clip_of(entry);
  visit_chunk<T>(
      block, entry.numel, is_aligned<Rule>(entry),
      [&](int64_t at) { update_pack(entry, rule, clip, at); },
      [&](int64_t at) { update_element(entry, rule, clip, at); });
}

template <class T, class Rule>
__global__ void __launch_bounds__(threads)
    optimizer_step(const Table<UpdateEntry<T>> __grid_constant__ table,
                   typename Rule::Constants constants, const double* learning_rate,
                   unsigned long long* arrivals) {
  WARPTAPE_SHARED(Rule, rule, [1]);
  WARPTAPE_SHARED(bool, is_last, [1]);
  const int index = table.entry_of(blockIdx.x);
  const UpdateEntry<T>& entry = table.entries[index];
  if (threadIdx.x == 0) {
    // Powers in double: once per block, not per thread.
    rule[0] = Rule::make(constants, *learning_rate, *entry.step + 1);
    is_last[0] = simt::arrive_is_last(arrivals, gridDim.x);
  }
  __syncthreads();
  update_chunk(entry, rule[0], blockIdx.x - table.first_block[index]);
  // The last block to have read its step counts them all up.
  if (is_last[0]) {
    for (int i = static_cast<int>(threadIdx.x); i < table.count; i += threads) {
      ++*table.entries[i].step;
    }
  }
}

// ---- gradient norm and clipping ---------------------------------------------------------------

// What robust_root() takes, of a part of the elements.
struct SumsOfSquares {
  double plain;
  double of_enlarged;
  double of_reduced;

  template <bool Scaled>
  __device__ void add(double value) {
    plain += value * value;
    if constexpr (Scaled) {
      of_enlarged += (value * enlarging) * (value * enlarging);
      of_reduced += (value * reducing) * (value * reducing);
    }
  }
};
__device__ inline SumsOfSquares shuffle_xor(const SumsOfSquares& sums, int lane_mask) {
  return {simt::shuffle_xor(sums.plain, lane_mask), simt::shuffle_xor(sums.of_enlarged, lane_mask),
          simt::shuffle_xor(sums.of_reduced, lane_mask)};
}
struct AddSums {
  __device__ SumsOfSquares operator()(const SumsOfSquares& a, const SumsOfSquares& b) const {
    return {a.plain + b.plain, a.of_enlarged + b.of_enlarged, a.of_reduced + b.of_reduced};
  }
};

// The norm of what the threads of the block have summed.
template <bool Scaled>
__device__ double norm_of_block(const SumsOfSquares& own) {
  if constexpr (Scaled) {
    const SumsOfSquares sums = simt::block_reduce(own, SumsOfSquares{}, AddSums());
    return robust_root(sums.plain, sums.of_enlarged, sums.of_reduced);
  } else {
    return sqrt(simt::block_sum(own.plain));
  }
}

// partial[block] = the norm of its chunk. The last block to have written one sums up those of all
// launches, in their order, whichever block it is.
template <class T>
__global__ void __launch_bounds__(threads)
    gradient_norm(const Table<SpanEntry<const T>> __grid_constant__ table, double* partial,
                  AllNorms all) {
  WARPTAPE_SHARED(bool, is_last, [1]);
  constexpr int pack = simt::pack_size<T>;
  const int index = table.entry_of(blockIdx.x);
  const SpanEntry<const T>& entry = table.entries[index];
  const int64_t begin = int64_t{blockIdx.x - table.first_block[index]} * sum_chunk<T>;
  const int64_t left = entry.numel - begin;
  const auto count = static_cast<int>(left < sum_chunk<T> ? left : sum_chunk<T>);
  const T* const values = entry.values + begin;
  const int packs = simt::is_aligned16(entry.values) ? count / pack : 0;
  const auto thread = static_cast<int>(threadIdx.x);
  constexpr bool scaled = squares_need_scaling<T>;
  SumsOfSquares sums{};
  // The loads of a batch precede their use.
#pragma unroll 1
  for (int first = thread; first < packs; first += threads * packs_per_thread) {
    simt::Pack16<T> batch[packs_per_thread] = {};
#pragma unroll
    for (int k = 0; k < packs_per_thread; ++k) {
      if (first + k * threads < packs) {
        batch[k] = simt::load16(values + (first + k * threads) * pack);
      }
    }
#pragma unroll
    for (int k = 0; k < packs_per_thread; ++k) {
#pragma unroll
      for (int j = 0; j < pack; ++j) {
        sums.template add<scaled>(static_cast<double>(batch[k][j]));
      }
    }
  }
  for (int i = packs * pack + thread; i < count; i += threads) {
    sums.template add<scaled>(static_cast<double>(values[i]));
  }
  const double norm = norm_of_block<scaled>(sums);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = norm;
  }
  if (all.count == 0) {
    return;
  }
  if (threadIdx.x == 0) {
    is_last[0] = simt::arrive_is_last(all.arrivals, gridDim.x);
  }
  __syncthreads();
  if (!is_last[0]) {
    return;
  }
  SumsOfSquares of_norms{};
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < all.count; i += threads) {
    of_norms.add<true>(all.norms[i]);
  }
  const double norm_of_all = norm_of_block<true>(of_norms);
  if (threadIdx.x == 0) {
    all.result[0] = norm_of_all;
    all.result[1] = clip_factor(norm_of_all, all.max_norm);
  }
}

template <class T>
__global__ void __launch_bounds__(threads)
    scale(const Table<SpanEntry<T>> __grid_constant__ table, const double* result) {
  if (result[1] == 1) {
    return;
  }
  const Clip<T> clip{static_cast<Compute<T>>(result[1])};
  const int index = table.entry_of(blockIdx.x);
  const SpanEntry<T>& entry = table.entries[index];
  visit_chunk<T>(
      blockIdx.x - table.first_block[index], entry.numel, simt::is_aligned16(entry.values),
      [&](int64_t at) {
        simt::Pack16<T> values = simt::load16(entry.values + at);
#pragma unroll
        for (int j = 0; j < simt::pack_size<T>; ++j) {
          values[j] = clip(values[j]);
        }
        simt::store16(entry.values + at, values);
      },
      [&](int64_t at) { entry.values[at] = clip(entry.values[at]); });
}

}  // namespace warptape::optimizer_detail
