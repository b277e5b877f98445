#pragma once
// How a tile's sums leave the chip where other ops are done on the way (pass_output.h): slab by
// slab through shared memory, from which threads take them in the order of memory. A thread has
// four rows of one column, or of four: the random words of a column's four rows are one block.

#include <cstring>
#include <type_traits>

#include "core/simt/packs.cuh"
#include "kernels/matrix/pass_output.h"
#include "kernels/matrix/plan.h"

namespace warptape::matrix {

inline constexpr int pass_rows = 4;  // that a thread takes at once

// Where the sums of a slab wait: row r, column n of it is sums[r * pitch + n].
template <class T>
struct Slab {
  const T* sums;
  int rows;
  int pitch;

  __device__ const T* at(int row, int column) const { return sums + row * pitch + column; }
};

namespace pass_detail {

// One access each.
template <int E, class T>
__device__ simt::Pack<T, E> load(const T* pointer) {
  constexpr int bytes = E * static_cast<int>(sizeof(T));
  if constexpr (E == 1) {
    return {*pointer};
  } else if constexpr (bytes == 16) {
    return simt::load16(pointer);
  } else {
    using Raw = std::conditional_t<bytes == 8, uint64_t, uint32_t>;
    static_assert(sizeof(Raw) == bytes);
    const Raw raw = *reinterpret_cast<const Raw*>(pointer);
    simt::Pack<T, E> result;
    memcpy(static_cast<void*>(&result), &raw, sizeof raw);
    return result;
  }
}
template <int E, class T>
__device__ void store(T* pointer, const simt::Pack<T, E>& values) {
  constexpr int bytes = E * static_cast<int>(sizeof(T));
  if constexpr (E == 1) {
    *pointer = values[0];
  } else if constexpr (bytes == 16) {
    simt::store16(pointer, values);
  } else {
    using Raw = std::conditional_t<bytes == 8, uint64_t, uint32_t>;
    static_assert(sizeof(Raw) == bytes);
    Raw raw;
    memcpy(&raw, &values, sizeof raw);
    *reinterpret_cast<Raw*>(pointer) = raw;
  }
}

}  // namespace pass_detail

// The random words of a column's four rows from `row`, a multiple of four, on. dropout() counts
// elements in the order of (image, channel, y, x).
template <class T>
__device__ PhiloxBlock random_words(const PassOutput<T>& out, const Digits& row, int group,
                                    int column) {
  PhiloxBlock result{};
  if (!out.drops) {
    return result;
  }
  const int64_t pixels = int64_t{out.rows.middle} * out.rows.inner;
  const int64_t channel = int64_t{group} * out.columns + column;
  const auto index = [&](const Digits& at) {
    const int64_t line = at.outer * (int64_t{out.groups} * out.columns) + channel;
    return static_cast<uint64_t>(line * pixels + int64_t{at.middle} * out.rows.inner + at.inner);
  };
  const RandomStream random = out.random.resolved();
  if (pixels % 4 == 0) {
    return random.block(index(row) / 4);
  }
  Digits at = row;
#pragma unroll
  for (uint32_t& word : result) {
    word = random.word(index(at));
    out.rows.advance(at, {0, 0, 1});
  }
  return result;
}

template <class T>
__device__ PhiloxBlock random_words(const MaskedOutput<T>&, const Digits&, int, int) {
  return {};
}

// E neighbouring columns of a row; word: the random word of each.
template <int E, class T, class Accumulator>
__device__ void store_row(const PassOutput<T>& out, const Accumulator (&sums)[E], const Digits& row,
                          int group, int column, const uint32_t (&word)[E]) {
  const int64_t at = out.at(row, group, column);
  simt::Pack<T, E> beside = {};
  if (out.residual != nullptr) {
    beside = pass_detail::load<E>(out.residual + at);
  }
  simt::Pack<T, E> values;
  simt::Pack<uint8_t, E> passes;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    Accumulator sum = sums[e];
    if (out.bias != nullptr) {
      sum += static_cast<Accumulator>(out.bias[group * out.columns + column + e]);
    }
    T value = static_cast<T>(sum);
    // A NaN passes, as it does in the ops.
    bool is_inner = true;
    if (out.relu) {
      is_inner = !(value <= T(0));
      value = value < T(0) ? T(0) : value;
    }
    if (out.drops) {
      const bool is_kept = word[e] >= out.least_kept;
      is_inner = is_inner && is_kept;
      value = is_kept ? static_cast<T>(static_cast<Compute<T>>(value) * out.scale) : T(0);
    }
    if (out.residual != nullptr) {
      value = static_cast<T>(static_cast<Compute<T>>(value) + static_cast<Compute<T>>(beside[e]));
    }
    bool is_outer = true;
    if (out.relu_after) {
      is_outer = !(value <= T(0));
      value = value < T(0) ? T(0) : value;
    }
    values[e] = value;
    passes[e] = static_cast<uint8_t>((is_inner && is_outer ? gradient_marks::inner : 0) |
                                     (is_outer ? gradient_marks::outer : 0));
  }
  pass_detail::store<E>(out.data + at, values);
  if (out.marks != nullptr) {
    pass_detail::store<E>(out.marks + at, passes);
  }
}

template <int E, class T, class Accumulator>
__device__ void store_row(const MaskedOutput<T>& out, const Accumulator (&sums)[E],
                          const Digits& row, int group, int column, const uint32_t (&)[E]) {
  const int64_t at = out.at(row, group, column);
  simt::Pack<T, E> before = {};
  if (out.part != nullptr) {
    before = pass_detail::load<E>(out.part + at);
  }
  const auto passes = pass_detail::load<E>(out.marks + at);
  simt::Pack<T, E> to_outer;
  simt::Pack<T, E> to_inner;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    Accumulator sum = sums[e];
    if (out.part != nullptr) {
      sum = static_cast<Accumulator>(static_cast<Compute<T>>(before[e])) + sum;
    }
    const T value = static_cast<T>(sum);
    to_outer[e] = (passes[e] & gradient_marks::outer) != 0 ? value : T(0);
    to_inner[e] = (passes[e] & gradient_marks::inner) != 0
                      ? static_cast<T>(static_cast<Compute<T>>(value) * out.scale)
                      : T(0);
  }
  if (out.outer != nullptr) {
    pass_detail::store<E>(out.outer + at, to_outer);
  }
  pass_detail::store<E>(out.inner + at, to_inner);
}

template <int E, class Out, class AnySlab, class RowOf>
__device__ void store_slab_by(const Out& out, const AnySlab& slab, int threads, int group,
                              int column, int columns, const RowOf& row_of) {
  const int packs = columns / E;
  const int items = slab.rows / pass_rows * packs;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += threads) {
    const int first = item / packs * pass_rows;
    const int own = item % packs * E;
    Digits row = out.rows.split(row_of(first));
    PhiloxBlock words[E];
#pragma unroll
    for (int e = 0; e < E; ++e) {
      words[e] = random_words(out, row, group, column + own + e);
    }
#pragma unroll
    for (int i = 0; i < pass_rows; ++i) {
      if (out.rows.contains(row)) {
        const auto waiting = pass_detail::load<E>(slab.at(first + i, own));
        std::remove_cvref_t<decltype(waiting[0])> sums[E];
        uint32_t word[E];
#pragma unroll
        for (int e = 0; e < E; ++e) {
          sums[e] = waiting[e];
          word[e] = words[e][static_cast<size_t>(i)];
        }
        store_row(out, sums, row, group, column + own, word);
      }
      out.rows.advance(row, {0, 0, 1});
    }
  }
}

// Stores a slab. row_of(r): the row of the result that row r of the slab is, for r a multiple of
// four; the three behind it follow. column: the first of the slab's `most` in its group. All
// `threads` of the block take part, behind a barrier.
template <class Out, class AnySlab, class RowOf>
__device__ void store_slab(const Out& out, const AnySlab& slab, int threads, int group, int column,
                           int most, const RowOf& row_of) {
  const int left = out.columns - column;
  const int columns = left < most ? left : most;
  if (out.packs) {
    store_slab_by<pass_pack>(out, slab, threads, group, column, columns, row_of);
  } else {
    store_slab_by<1>(out, slab, threads, group, column, columns, row_of);
  }
}

}  // namespace warptape::matrix
