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
