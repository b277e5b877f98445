#pragma once
// A step that keeps a constraint true of the rows of weights. A team of threads of one block owns a
// row, of any length: each updates its part and adds up its squares; once the team has their sum,
// each scales what it has written itself, which no barrier need stand before. So there is one
// launch, and what is read a second time is in a cache.

#include "kernels/optimizer/optimizer_step.cuh"
#include "kernels/rows/row_part.cuh"

namespace warptape::optimizer_detail {

inline constexpr int warps = threads / 32;

// A thread's part of the row that its team owns: `packs` packs from `head` elements behind the
// row's first on, and the elements beside them.
struct TeamRow {
  int64_t begin;  // of the row in its tensor
  int64_t head;
  int64_t packs;
  int64_t beside;
  int lane;
  int lanes;
};
template <class T, class Rule>
__device__ TeamRow row_of_team(const ConstrainedEntry<T>& entry, unsigned block) {
  constexpr int64_t pack = simt::pack_size<T>;
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t row = int64_t{block} * (threads / entry.lanes) + thread / entry.lanes;
  const int64_t begin = row * entry.length;
  const int64_t length = begin < entry.update.numel ? entry.length : 0;
  TeamRow own{begin, 0, 0, length, thread % entry.lanes, entry.lanes};
  const int64_t head = (pack - begin % pack) % pack;
  if (is_aligned<Rule>(entry.update) && simt::is_aligned16(entry.rounded) && head < length) {
    own.head = head;
    own.packs = (length - head) / pack;
    own.beside = length - own.packs * pack;
  }
  return own;
}

// Calls packed(offset) for the thread's packs and single(offset) for its other elements; offsets
// count from the tensor's first element.
template <class T, class Packed, class Single>
__device__ void visit_row(const TeamRow& own, const Packed& packed, const Single& single) {
  constexpr int64_t pack = simt::pack_size<T>;
  for (int64_t i = own.lane; i < own.packs; i += own.lanes) {
    packed(own.begin + own.head + i * pack);
  }
  for (int64_t i = own.lane; i < own.beside; i += own.lanes) {
    single(own.begin + (i < own.head ? i : i + own.packs * pack));
  }
}

template <class T>
__device__ void add_squares(SumsOfSquares& sums, const simt::Pack16<T>& values) {
#pragma unroll
  for (int j = 0; j < simt::pack_size<T>; ++j) {
    sums.template add<squares_need_scaling<T>>(static_cast<double>(values[j]));
  }
}

// Doubles of shared memory that a norm needs. Each has its own, so that no barrier stands between.
template <class T>
inline constexpr int sums_of_team = (squares_need_scaling<T> ? 3 : 1) * warps;

// The norm of what the threads of a team have summed.
template <class T>
__device__ double norm_of_team(const SumsOfSquares& own, int lanes, double* warp_sums) {
  const double sum = rows::team_sum(own.plain, lanes, warp_sums);
  if constexpr (squares_need_scaling<T>) {
    const double of_enlarged = rows::team_sum(own.of_enlarged, lanes, warp_sums + warps);
    return robust_root(sum, of_enlarged,
                       rows::team_sum(own.of_reduced, lanes, warp_sums + 2 * warps));
  } else {
    return sqrt(sum);
  }
}

// Writes the copy in bfloat16, too.
template <class T>
__device__ void project_row(const ConstrainedEntry<T>& entry, const TeamRow& own,
                            const RowProjection<T>& projection) {
  T* const value = entry.update.value;
  visit_row<T>(
      own,
      [&](int64_t at) {
        simt::Pack16<T> w = simt::load16(value + at);
#pragma unroll
        for (int j = 0; j < simt::pack_size<T>; ++j) {
          w[j] = static_cast<T>(projection(w[j]));
        }
        simt::store16(value + at, w);
        if constexpr (std::is_same_v<T, float>) {
          if (entry.rounded != nullptr) {
            simt::store8(entry.rounded + at, simt::cast_pack<simt::bfloat16>(w));
          }
        }
      },
      [&](int64_t at) {
        const T w = static_cast<T>(projection(value[at]));
        value[at] = w;
        if constexpr (std::is_same_v<T, float>) {
          if (entry.rounded != nullptr) {
            entry.rounded[at] = static_cast<simt::bfloat16>(w);
          }
        }
      });
}

template <class T, class Rule>
__device__ void step_row(const ConstrainedEntry<T>& entry, const Rule& rule, unsigned block,
                         double* sums_before, double* sums_after) {
  constexpr bool scaled = squares_need_scaling<T>;
  const UpdateEntry<T>& update = entry.update;
  const TeamRow own = row_of_team<T, Rule>(entry, block);
  const Clip<T> clip = clip_of(update);
  const bool keeps_norm = entry.constraint == Constraint::FixedRadius;
  SumsOfSquares before{};
  SumsOfSquares after{};
  visit_row<T>(
      own,
      [&](int64_t at) {
        if (keeps_norm) {
          add_squares(before, simt::load16(update.value + at));
        }
        add_squares(after, update_pack(update, rule, clip, at));
      },
      [&](int64_t at) {
        if (keeps_norm) {
          before.template add<scaled>(static_cast<double>(update.value[at]));
        }
        after.template add<scaled>(static_cast<double>(update_element(update, rule, clip, at)));
      });
  const double wanted = keeps_norm ? norm_of_team<T>(before, own.lanes, sums_before) : 1.0;
  const double norm = norm_of_team<T>(after, own.lanes, sums_after);
  project_row(entry, own, RowProjection<T>::make(norm, wanted));
}

template <class T, class Rule>
__global__ void __launch_bounds__(threads)
    constrained_step(const Table<ConstrainedEntry<T>> __grid_constant__ table,
                     typename Rule::Constants constants, const double* learning_rate,
                     unsigned long long* arrivals) {
  WARPTAPE_SHARED(Rule, rule, [1]);
  WARPTAPE_SHARED(bool, is_last, [1]);
  WARPTAPE_SHARED(double, sums_before, [sums_of_team<T>]);
  WARPTAPE_SHARED(double, sums_after, [sums_of_team<T>]);
  const int index = table.entry_of(blockIdx.x);
  const ConstrainedEntry<T>& entry = table.entries[index];
  if (threadIdx.x == 0) {
    rule[0] = Rule::make(constants, *learning_rate, *entry.update.step + 1);
    is_last[0] = simt::arrive_is_last(arrivals, gridDim.x);
  }
  __syncthreads();
  step_row(entry, rule[0], blockIdx.x - table.first_block[index], sums_before, sums_after);
  // The last block to have read its step counts them all up.
  if (is_last[0]) {
    for (int i = static_cast<int>(threadIdx.x); i < table.count; i += threads) {
      ++*table.entries[i].update.step;
    }
  }
}

}  // namespace warptape::optimizer_detail
