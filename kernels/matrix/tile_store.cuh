#pragma once
// Which tile of the result a block makes, and how its sums leave the chip.

#include "core/simt/packs.cuh"
#include "kernels/matrix/output.h"
#include "kernels/matrix/plan.h"
#include "kernels/matrix/split_sum.cuh"

namespace warptape::matrix {

// Which part of the depth a launch's blocks sum: the tile's blocks along grid.z share it.
struct DepthSplit {
  int steps = 0;             // of the core's depth, per split
  int splits = 1;            // more than one: sums go to the workspace
  void* partials = nullptr;  // sums of the accumulator's type (Output::partial_at)

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    if (partials != nullptr) {
      visit(static_cast<char*>(partials));
    }
  }
};

// The tile of this block: rows fastest, then columns, then groups, so that neighbours read the same
// columns.
struct TilePosition {
  int row;
  int column;
  int group;

  __device__ TilePosition(int rows, int columns, int tile_rows, int tile_columns) {
    const unsigned row_tiles = (static_cast<unsigned>(rows) + tile_rows - 1) / tile_rows;
    const unsigned column_tiles =
        (static_cast<unsigned>(columns) + tile_columns - 1) / tile_columns;
    const unsigned rest = blockIdx.x / row_tiles;
    row = static_cast<int>(blockIdx.x % row_tiles) * tile_rows;
    column = static_cast<int>(rest % column_tiles) * tile_columns;
    group = static_cast<int>(rest / column_tiles);
  }
};

// Stores E neighbouring results of a row, or their sums where the depth is split.
template <int E, class Accumulator, class Out>
__device__ void store_results(const Output<Out>& out, const DepthSplit& split, int group, int row,
                              int column, const Accumulator (&sums)[E]) {
  const int64_t rows = out.rows.size();
  if (row >= rows) {
    return;
  }
  if (split.splits > 1) {
    auto* to = static_cast<Accumulator*>(split.partials) +
               out.partial_at(static_cast<int>(blockIdx.z), group, row);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      if (column + e < out.columns) {
        to[column + e] = sums[e];
      }
    }
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

// Adds up the block's sums of the left operand, [line][row] in shared memory, and stores those of
// its rows. All threads of the block take part.
template <class Accumulator, int Rows, class Out>
__device__ void store_row_sums(const Output<Out>& out, const DepthSplit& split,
                               const TilePosition& position, int lines,
                               const double (*sums)[Rows]) {
  for (int i = static_cast<int>(threadIdx.x); i < Rows; i += block_threads) {
    const int row = position.row + i;
    if (row >= out.rows.size()) {
      return;
    }
    double sum = 0;
    for (int line = 0; line < lines; ++line) {
      sum += sums[line][i];
    }
    if (split.splits == 1) {
      out.row_sums[position.group * out.rows.size() + row] = static_cast<Out>(sum);
      continue;
    }
    auto* to = static_cast<Accumulator*>(split.partials) +
               out.partial_row_sum_at(static_cast<int>(blockIdx.z), position.group, row);
#pragma unroll
    for (int part = 0; part < out.parts; ++part) {
      to[part] = static_cast<Accumulator>(sum);
      sum -= static_cast<double>(to[part]);
    }
  }
}

// The second launch of a split depth (plan.h's Finish).
template <class Accumulator, class Out>
__global__ void __launch_bounds__(block_threads, 4)
    finish_splits_kernel(const Accumulator* partials, int splits, int sharers,
                         const Output<Out> __grid_constant__ out) {
  const int64_t results = out.results();
  const SplitSum<double> sum(out.sums(), splits, sharers, [&](int split, int64_t index) {
    if (index < results) {
      return static_cast<double>(partials[split * out.partials() + index]);
    }
    const int64_t first = split * out.partials() + results + (index - results) * out.parts;
    double parts = 0;
#pragma unroll
    for (int part = 0; part < out.parts; ++part) {
      parts += static_cast<double>(partials[first + part]);
    }
    return parts;
  });
  if (!sum.is_mine()) {
    return;
  }
  if (sum.index() >= results) {
    out.row_sums[sum.index() - results] = static_cast<Out>(static_cast<Accumulator>(sum.value()));
    return;
  }
  const int column = static_cast<int>(sum.index() % out.columns);
  const int64_t line = sum.index() / out.columns;
  const int row = static_cast<int>(line % out.rows.size());
  const int group = static_cast<int>(line / out.rows.size());
  Out* to = out.at(group, row) + column;
  *to = out.finish(static_cast<Accumulator>(sum.value()), group, column, to);
}

}  // namespace warptape::matrix
