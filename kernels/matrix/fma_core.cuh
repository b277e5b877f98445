#pragma once
// The matrix core on the ordinary cores, for float and double: a block of 256 threads makes a tile
// of the result in steps of 8 along the depth. Tiles of both operands lie in shared memory as
// [depth][row], twice, so that the loads of the next step run under the arithmetic of this one. A
// warp owns 4 x 8 threads, and a thread GM x GN squares of V x V results (V elements are 16 bytes),
// so that per step of the depth it loads GM + GN packs for GM * GN * V * V multiplications.

#include "kernels/matrix/pass_store.cuh"
#include "kernels/matrix/pooled_store.cuh"
#include "kernels/matrix/split_sum.cuh"
#include "kernels/matrix/tile_loader.cuh"
#include "kernels/matrix/tile_store.cuh"

namespace warptape::matrix {

template <class T, int GM, int GN>
struct FmaTile {
  static constexpr int pack = simt::pack_size<T>;
  static constexpr int rows = fma_square * pack * GM;     // 4 warps of 4 threads
  static constexpr int columns = fma_square * pack * GN;  // 2 warps of 8 threads
  static constexpr int depth = fma_depth;
  static constexpr TileSize size{rows, columns, depth};
  // The transposing stores of a warp meet every bank once.
  static constexpr int padding = 16 / static_cast<int>(sizeof(T));
  static constexpr int row_pitch = rows + padding;
  static constexpr int column_pitch = columns + padding;
};

// What a thread has of a tile between its loads and its stores.
template <class View, class Places, int E, bool along_depth>
struct TileInRegisters {
  using T = typename View::Element;
  simt::Pack<T, E> values[Places::count] = {};

  __device__ void load_next(const View& view, const typename Places::Steps& steps, Places& places,
                            int64_t group_offset) {
    places.next_tile(view, steps, group_offset, [&](int i, const T* pointer) {
      values[i] = pointer != nullptr ? simt::load_pack<E>(pointer) : simt::Pack<T, E>{};
    });
  }

  // Adds the packs, which all are of the same rows.
  __device__ void add_to(double (&sums)[E]) const {
    static_assert(!along_depth);
#pragma unroll
    for (int i = 0; i < Places::count; ++i) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        sums[e] += static_cast<double>(values[i][e]);
      }
    }
  }

  template <int Depth, int Pitch>
  __device__ void store(const Places& places, T (&tile)[Depth][Pitch]) const {
    if (!Places::is_active()) {
      return;
    }
#pragma unroll
    for (int i = 0; i < Places::count; ++i) {
      const int row = places.row_in_tile(i);
      const int depth = places.depth_in_tile(i);
      if constexpr (along_depth) {
#pragma unroll
        for (int e = 0; e < E; ++e) {
          tile[depth + e][row] = values[i][e];
        }
      } else {
        simt::store_pack<E>(&tile[depth][row], values[i]);
      }
    }
  }
};

// One kernel of the core. E: elements of a load.
template <class Product, int GM, int GN, int E>
struct FmaVariant : ProductTypes<Product> {
  using typename ProductTypes<Product>::A;
  using typename ProductTypes<Product>::B;
  using T = typename A::Element;
  using Tile = FmaTile<T, GM, GN>;
  static constexpr int groups_m = GM;
  static constexpr int groups_n = GN;
  static constexpr int load = E;
  using PlacesA = TilePlaces<A, Tile::rows, Tile::depth, E, Product::a_along_depth, block_threads>;
  using PlacesB =
      TilePlaces<B, Tile::columns, Tile::depth, E, Product::b_along_depth, block_threads>;
  using Steps = OperandSteps<typename PlacesA::Steps, typename PlacesB::Steps>;
};

// out = a b^T
template <class Variant>
__global__ void __launch_bounds__(block_threads, 2)
    fma_kernel(const typename Variant::A __grid_constant__ a,
               const typename Variant::B __grid_constant__ b,
               const typename Variant::Output __grid_constant__ out,
               const typename Variant::Steps __grid_constant__ steps, const DepthSplit split) {
  using T = typename Variant::T;
  using Tile = typename Variant::Tile;
  using PlacesA = typename Variant::PlacesA;
  using PlacesB = typename Variant::PlacesB;
  constexpr int GM = Variant::groups_m;
  constexpr int GN = Variant::groups_n;
  constexpr int E = Variant::load;
  constexpr int pack = Tile::pack;
  WARPTAPE_SHARED(T, tile_a, [2][Tile::depth][Tile::row_pitch]);
  WARPTAPE_SHARED(T, tile_b, [2][Tile::depth][Tile::column_pitch]);

  const auto position_of = [&](unsigned tile) {
    return TilePosition(tile, static_cast<int>(out.rows.size()), out.columns, Tile::rows,
                        Tile::columns);
  };
  const TilePosition position = position_of(blockIdx.x);
  const int first_depth = static_cast<int>(blockIdx.z) * split.steps * Tile::depth;
  PlacesA places_a(a, position.row, first_depth);
  PlacesB places_b(b, position.column, first_depth);
  const int64_t offset_a = position.group * a.group_stride;
  const int64_t offset_b = position.group * b.group_stride;

  // The first of a thread's rows and columns; its groups are 4 warps or 2 warps apart.
  const auto row_of = [](unsigned thread) {
    return static_cast<int>(thread / 64 * 4 + thread % 32 / 8) * pack;
  };
  const auto column_of = [](unsigned thread) {
    return static_cast<int>(thread / 32 % 2 * 8 + thread % 8) * pack;
  };
  const int row = row_of(threadIdx.x);
  const int column = column_of(threadIdx.x);

  T sums[GM][pack][GN][pack] = {};
  TileInRegisters<typename Variant::A, PlacesA, E, Variant::a_along_depth> next_a;
  TileInRegisters<typename Variant::B, PlacesB, E, Variant::b_along_depth> next_b;
  // One block of those that read the same rows adds them up.
  const bool sums_rows = Variant::has_row_sums && out.has_row_sums() && position.column == 0;
  double row_sums[E] = {};
  const auto keep_a = [&](int tile) {
    if constexpr (Variant::has_row_sums) {
      if (sums_rows) {
        next_a.add_to(row_sums);
      }
    }
    next_a.store(places_a, tile_a[tile]);
  };
  next_a.load_next(a, steps.a, places_a, offset_a);
  next_b.load_next(b, steps.b, places_b, offset_b);
  keep_a(0);
  next_b.store(places_b, tile_b[0]);
  __syncthreads();
  for (int step = 0; step < split.steps; ++step) {
    const int now = step % 2;
    const bool more = step + 1 < split.steps;
    if (more) {
      next_a.load_next(a, steps.a, places_a, offset_a);
      next_b.load_next(b, steps.b, places_b, offset_b);
    }
#pragma unroll
    for (int k = 0; k < Tile::depth; ++k) {
      simt::Pack16<T> factor_a[GM];
      simt::Pack16<T> factor_b[GN];
#pragma unroll
      for (int g = 0; g < GM; ++g) {
        factor_a[g] = simt::load16(&tile_a[now][k][row + g * 16 * pack]);
      }
#pragma unroll
      for (int g = 0; g < GN; ++g) {
        factor_b[g] = simt::load16(&tile_b[now][k][column + g * 16 * pack]);
      }
#pragma unroll
      for (int gm = 0; gm < GM; ++gm) {
#pragma unroll
        for (int i = 0; i < pack; ++i) {
#pragma unroll
          for (int gn = 0; gn < GN; ++gn) {
#pragma unroll
            for (int j = 0; j < pack; ++j) {
              sums[gm][i][gn][j] = fma(factor_a[gm][i], factor_b[gn][j], sums[gm][i][gn][j]);
            }
          }
        }
      }
    }
    if (more) {
      keep_a(1 - now);
      next_b.store(places_b, tile_b[1 - now]);
      __syncthreads();
    }
  }
  double row_sum = 0;  // of the row of the thread's number
  if constexpr (Variant::has_row_sums) {
    if (sums_rows) {
      __syncthreads();  // the tiles have been read, and are overwritten
      static_assert(sizeof(tile_a) >= PlacesA::lines_in_use * Tile::rows * sizeof(double));
      auto* const shared_sums = reinterpret_cast<double(*)[Tile::rows]>(&tile_a[0][0][0]);
      if (PlacesA::is_active()) {
#pragma unroll
        for (int e = 0; e < E; ++e) {
          shared_sums[places_a.depth_in_tile(0)][places_a.row_in_tile(0) + e] = row_sums[e];
        }
      }
      __syncthreads();
      row_sum = sum_lines<Tile::rows>(PlacesA::lines_in_use, shared_sums);
    }
  }
  if constexpr (!Variant::pools) {
    constexpr int rows_with_sums = Variant::has_row_sums ? Tile::rows : 0;
    const auto pack_at = [&](int i) -> T(&)[pack] {
      return sums[i / GN / pack][i / GN % pack][i % GN];
    };
    if (split.splits > 1 && !sums_of_all_splits<T, GM * pack * GN, rows_with_sums>(
                                split, pack_at, sums_rows, row_sum)) {
      return;
    }
  }
  // Not kept in registers through the loop.
  const TilePosition first = position_of(computed_here(blockIdx.x));
  const unsigned thread = computed_here(threadIdx.x);
  TilePosition to = first;
  to.row += row_of(thread);
  to.column += column_of(thread);
  if constexpr (Variant::is_pass) {
    // Slab gm: the rows of all threads' squares gm.
    constexpr int slab_rows = fma_square * pack;
    WARPTAPE_SHARED(T, slab, [slab_rows][Tile::columns]);
#pragma unroll
    for (int gm = 0; gm < GM; ++gm) {
#pragma unroll
      for (int i = 0; i < pack; ++i) {
#pragma unroll
        for (int gn = 0; gn < GN; ++gn) {
          simt::Pack16<T> line;
#pragma unroll
          for (int j = 0; j < pack; ++j) {
            line[j] = sums[gm][i][gn][j];
          }
          simt::store16(&slab[row_of(thread) + i][column_of(thread) + gn * 16 * pack], line);
        }
      }
      __syncthreads();
      store_slab(out, Slab<T>{&slab[0][0], slab_rows, Tile::columns}, block_threads, first.group,
                 first.column, Tile::columns,
                 [&](int r) { return first.row + gm * slab_rows + r; });
      if (gm + 1 < GM) {
        __syncthreads();
      }
    }
    return;
  } else if constexpr (Variant::pools) {
    // A thread's pack of rows is a window. Slab gm: the windows of all threads' squares gm.
    static_assert(pack == Variant::Output::window);
    using Slab = PooledSlab<T, fma_square, Tile::columns>;
    WARPTAPE_SHARED(T, slab_values, [fma_square * Tile::columns]);
    WARPTAPE_SHARED(uint8_t, slab_indices, [fma_square * Tile::columns]);
    const Slab slab{slab_values, slab_indices};
    T shift[GN][pack];
#pragma unroll
    for (int gn = 0; gn < GN; ++gn) {
#pragma unroll
      for (int j = 0; j < pack; ++j) {
        shift[gn][j] = out.shift(to.group, to.column + gn * 16 * pack + j);
      }
    }
#pragma unroll
    for (int gm = 0; gm < GM; ++gm) {
#pragma unroll
      for (int gn = 0; gn < GN; ++gn) {
        simt::Pack<T, pack> values;
        simt::Pack<uint8_t, pack> indices;
#pragma unroll
        for (int j = 0; j < pack; ++j) {
          T window[pack];
#pragma unroll
          for (int i = 0; i < pack; ++i) {
            window[i] = sums[gm][i][gn][j];
          }
          values[j] = out.largest(window, shift[gn][j], indices[j]);
        }
        slab.put(row_of(thread) / pack, column_of(thread) + gn * 16 * pack, values, indices);
      }
      __syncthreads();
      store_pooled<block_threads>(out, slab,
                                  {first.row / pack + gm * fma_square, first.group, first.column});
      if (gm + 1 < GM) {
        __syncthreads();
      }
    }
    return;
  } else {
#pragma unroll
    for (int gm = 0; gm < GM; ++gm) {
#pragma unroll
      for (int i = 0; i < pack; ++i) {
#pragma unroll
        for (int gn = 0; gn < GN; ++gn) {
          store_results<pack>(out, to.group, to.row + gm * 16 * pack + i,
                              to.column + gn * 16 * pack, sums[gm][i][gn]);
        }
      }
    }
  }
  if constexpr (Variant::has_row_sums) {
    if (sums_rows) {
      store_row_sum<Tile::rows>(out, first, row_sum);
    }
  }
}

}  // namespace warptape::matrix
