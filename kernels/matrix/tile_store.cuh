#pragma once
// Which tile of the result a block makes, and how its sums leave the chip.

#include "core/simt/build.h"
#include "core/simt/packs.cuh"
#include "kernels/matrix/output.h"
#include "kernels/matrix/plan.h"

namespace warptape::matrix {

// The same number, which the compiler takes for another one: what follows from it is computed here,
// not early and kept.
__device__ inline unsigned computed_here(unsigned number) {
#ifndef WARPTAPE_SIMT
  asm volatile("" : "+r"(number));
#endif
  return number;
}

// The tile of a block: rows fastest, then columns, then groups, so that neighbours read the same
// columns.
struct TilePosition {
  int row;
  int column;
  int group;

  __device__ TilePosition(unsigned tile, int rows, int columns, int tile_rows, int tile_columns) {
    const unsigned row_tiles = (static_cast<unsigned>(rows) + tile_rows - 1) / tile_rows;
    const unsigned column_tiles =
        (static_cast<unsigned>(columns) + tile_columns - 1) / tile_columns;
    const unsigned rest = tile / row_tiles;
    row = static_cast<int>(tile % row_tiles) * tile_rows;
    column = static_cast<int>(rest % column_tiles) * tile_columns;
    group = static_cast<int>(rest / column_tiles);
  }
};

// Stores E neighbouring results of a row.
template <int E, class Accumulator, class Out>
__device__ void store_results(const Output<Out>& out, int group, int row, int column,
                              const Accumulator (&sums)[E]) {
  const int64_t rows = out.rows.size();
  if (row >= rows) {
    return;
  }
  Out* to = out.at(group, row) + column;
  if constexpr (E * sizeof(Out) == 16) {
    if (column + E <= out.columns && simt::is_aligned16(to)) {
      simt::Pack16<Out> results;
      simt::Pack16<Out> old{};
      if (out.accumulate) {
        old = simt::load16(to);
      }
#pragma unroll
      for (int e = 0; e < E; ++e) {
        results[e] = out.finish(sums[e], group, column + e, &old[e]);
      }
      simt::store16(to, results);
      return;
    }
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    if (column + e < out.columns) {
      to[e] = out.finish(sums[e], group, column + e, to + e);
    }
  }
}

// Stores the largest of a window's rows for E neighbouring columns; `row` is the first of them.
template <int E, class T>
__device__ void store_largest(const PooledOutput<T>& out, int group, int row, int column,
                              const T (&sums)[E][PooledOutput<T>::window]) {
  const int window = row / out.window;
  if (window >= out.rows.windows()) {
    return;
  }
  const int64_t at = window * out.pitch + group * out.group_stride + column;
  simt::Pack<T, E> values;
  simt::Pack<uint8_t, E> rows;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    if (column + e < out.columns) {
      int found = 0;
      values[e] = out.largest(sums[e], group, column + e, found);
      rows[e] = static_cast<uint8_t>(found);
    }
  }
  T* const to = out.data + at;
  const bool whole = column + E <= out.columns;
  if (whole && reinterpret_cast<uintptr_t>(to) % (E * sizeof(T)) == 0) {
    simt::store_pack<E>(to, values);
  } else {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      if (column + e < out.columns) {
        to[e] = values[e];
      }
    }
  }
  if (out.indices == nullptr) {
    return;
  }
  uint8_t* const index = out.indices + at;
  if (whole && reinterpret_cast<uintptr_t>(index) % E == 0) {
    *reinterpret_cast<simt::Pack<uint8_t, E>*>(index) = rows;
    return;
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    if (column + e < out.columns) {
      index[e] = rows[e];
    }
  }
}

// Adds up the block's sums of the left operand, [line][row] in shared memory, for the row of the
// thread's number.
template <int Rows>
__device__ double sum_lines(int lines, const double (*sums)[Rows]) {
  static_assert(Rows <= block_threads);
  const int row = static_cast<int>(threadIdx.x);
  double sum = 0;
  for (int line = 0; line < lines && row < Rows; ++line) {
    sum += sums[line][row];
  }
  return sum;
}

template <int Rows, class Out>
__device__ void store_row_sum(const Output<Out>& out, const TilePosition& position, double sum) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t row = position.row + thread;
  if (thread < Rows && row < out.rows.size()) {
    out.row_sums[position.group * out.rows.size() + row] = static_cast<Out>(sum);
  }
}

}  // namespace warptape::matrix
