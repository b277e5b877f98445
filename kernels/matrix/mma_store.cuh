#pragma once
// How the sums of the tensor cores leave the chip: through shared memory, from which threads take
// 16 bytes of results in the order of memory.

#include "kernels/matrix/mma_fragments.cuh"
#include "kernels/matrix/pass_store.cuh"
#include "kernels/matrix/pooled_store.cuh"
#include "kernels/matrix/tile_store.cuh"

namespace warptape::matrix {

// The place among 64 of number `at` of unit `unit` of 8 rows or columns.
template <bool exchanged>
WARPTAPE_HOST_DEVICE int place_of_unit(int unit, int at) {
  return exchanged ? unit / 4 * 32 + 4 * at + unit % 4 : 8 * unit + at;
}

// A tile's sums in shared memory. Packs are exchanged within a line such that the stores of a
// warp, which has several rows, meet different banks.
template <class Tile>
struct MmaSlab {
  static constexpr int rows = Tile::rows;
  float* sums;

  __device__ float* at(int row, int column) const {
    const auto r = static_cast<unsigned>(row);
    const auto c = static_cast<unsigned>(column);
    const unsigned slot = c / 4 ^ (r % 4 * 2 + (r ^ r >> 2) % 2);
    return sums + r * Tile::columns + slot * 4 + c % 4;
  }
};

// A warp's sums into the slab.
template <bool exchanged_rows, bool exchanged_columns, class Tile>
__device__ void fill_slab(const MmaSlab<Tile>& slab, const WarpPlace<Tile>& warp,
                          const float (&sums)[4][8][4]) {
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = warp.row + place_of_unit<exchanged_rows>(2 * i + half, lane / 4);
      if constexpr (exchanged_columns) {
        // Four units are side by side.
#pragma unroll
        for (int quad = 0; quad < 2; ++quad) {
#pragma unroll
          for (int e = 0; e < 2; ++e) {
            simt::Pack16<float> pack;
#pragma unroll
            for (int j = 0; j < 4; ++j) {
              pack[j] = sums[i][4 * quad + j][2 * half + e];
            }
            simt::store16(slab.at(row, warp.column + 32 * quad + 4 * (lane % 4 * 2 + e)), pack);
          }
        }
      } else {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
          const simt::Pack<float, 2> pair{{sums[i][j][2 * half], sums[i][j][2 * half + 1]}};
          pass_detail::store<2>(slab.at(row, warp.column + 8 * j + lane % 4 * 2), pair);
        }
      }
    }
  }
}

// A thread has 16 bytes of results of every so manyth row.
template <class Tile, class Out>
__device__ void store_slab(const Output<Out>& out, const MmaSlab<Tile>& slab,
                           const TilePosition& position) {
  constexpr int E = 16 / static_cast<int>(sizeof(Out));
  constexpr int per_row = Tile::columns / E;
  constexpr int step = Tile::threads / per_row;
  static_assert(Tile::threads % per_row == 0 && MmaSlab<Tile>::rows % step == 0);
  const int own = static_cast<int>(threadIdx.x) % per_row * E;
  const int column = position.column + own;
  if (column >= out.columns) {
    return;
  }
  const bool is_whole = column + E <= out.columns;
  Compute<Out> bias[E] = {};
  if (out.bias != nullptr) {
#pragma unroll
    for (int e = 0; e < E; ++e) {
      if (column + e < out.columns) {
        bias[e] = out.bias[position.group * out.bias_group_stride + column + e];
      }
    }
  }
  const int begin = static_cast<int>(threadIdx.x) / per_row;
  Digits row = out.rows.split(position.row + begin);
  const Digits to_next = out.rows.split(step);
  Out* const data = out.data + position.group * out.group_stride + column;
#pragma unroll 2
  for (int r = begin; r < MmaSlab<Tile>::rows; r += step) {
    if (!out.rows.contains(row)) {
      return;
    }
    float sums[E];
#pragma unroll
    for (int e = 0; e < E; e += 4) {
      const auto four = simt::load16(slab.at(r, own + e));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        sums[e + i] = four[i];
      }
    }
    Out* const to = data + out.row_stride.offset(row);
    if (is_whole && simt::is_aligned16(to)) {
      simt::Pack16<Out> results;
      simt::Pack16<Out> old{};
      if (out.accumulate) {
        old = simt::load16(to);
      }
#pragma unroll
      for (int e = 0; e < E; ++e) {
        results[e] = out.finish(sums[e], bias[e], &old[e]);
      }
      simt::store16(to, results);
    } else {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        if (column + e < out.columns) {
          to[e] = out.finish(sums[e], bias[e], to + e);
        }
      }
    }
    out.rows.advance(row, to_next);
  }
}

// Windows of four rows. What is largest replaces the sums in shared memory.
template <class Tile, class T>
__device__ void store_slab(const PooledOutput<T>& out, const MmaSlab<Tile>& slab,
                           const TilePosition& position) {
  constexpr int E = 4;
  constexpr int window = PooledOutput<T>::window;
  constexpr int windows = Tile::rows / window;
  constexpr int per_window = Tile::columns / E;
  constexpr int step = Tile::threads / per_window;
  constexpr int count = windows / step;
  static_assert(Tile::threads % per_window == 0 && windows % step == 0);
  const int own = static_cast<int>(threadIdx.x) % per_window * E;
  const int begin = static_cast<int>(threadIdx.x) / per_window;
  Compute<T> shift[E];
#pragma unroll
  for (int e = 0; e < E; ++e) {
    shift[e] = out.shift(position.group, position.column + own + e);
  }
  simt::Pack<T, E> values[count];
  simt::Pack<uint8_t, E> indices[count];
#pragma unroll
  for (int i = 0; i < count; ++i) {
    simt::Pack16<float> rows[window];
#pragma unroll
    for (int r = 0; r < window; ++r) {
      rows[r] = simt::load16(slab.at((begin + i * step) * window + r, own));
    }
#pragma unroll
    for (int e = 0; e < E; ++e) {
      float sums[window];
#pragma unroll
      for (int r = 0; r < window; ++r) {
        sums[r] = rows[r][e];
      }
      values[i][e] = out.largest(sums, shift[e], indices[i][e]);
    }
  }
  __syncthreads();  // the sums have been read
  constexpr int results = windows * Tile::columns;
  T* const shared = simt::dynamic_shared<T>();
  const PooledSlab<T, windows, Tile::columns> pooled{shared,
                                                     reinterpret_cast<uint8_t*>(shared + results)};
#pragma unroll
  for (int i = 0; i < count; ++i) {
    pooled.put(begin + i * step, own, values[i], indices[i]);
  }
  __syncthreads();
  store_pooled<Tile::threads>(out, pooled,
                              {position.row / window, position.group, position.column});
}

// Products whose results go through other ops.
template <class Tile, class Out>
__device__ void store_slab(const Out& out, const MmaSlab<Tile>& slab,
                           const TilePosition& position) {
  store_slab(out, slab, Tile::threads, position.group, position.column, Tile::columns,
             [&](int r) { return position.row + r; });
}

// All threads of the block take part, behind a barrier. All sums leave the registers at once, which
// what follows needs.
template <class Tile, bool a_along_rows, bool b_along_rows, class Out>
__device__ void store_tile(const Out& out, const TilePosition& position,
                           const WarpPlace<Tile>& warp, const float (&sums)[4][8][4]) {
  constexpr bool is_tf32 = sizeof(typename Tile::T) == 4;
  const MmaSlab<Tile> slab{simt::dynamic_shared<float>()};
  fill_slab<is_tf32 && a_along_rows, is_tf32 && b_along_rows>(slab, warp, sums);
  __syncthreads();
  store_slab(out, slab, position);
}

}  // namespace warptape::matrix
