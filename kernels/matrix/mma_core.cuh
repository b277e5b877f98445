#pragma once
// The matrix core on the tensor cores, with float sums: of bfloat16, and of float rounded to TF32.
// A warp makes 64 x 64 of a block's tile. Four steps of both operands along the depth are in
// flight: asynchronous copies that fill padding with zeros. What a warp multiplies next is read out
// of shared memory while it multiplies.

#include "kernels/matrix/copy_places.cuh"
#include "kernels/matrix/mma_fragments.cuh"
#include "kernels/matrix/mma_store.cuh"
#include "kernels/matrix/split_sum.cuh"
#include "kernels/matrix/tile_loader.cuh"

namespace warptape::matrix {

// Starts the copies of the next step, or makes them at once where elements have to be gathered
// singly.
template <class Tile, int E, bool along_depth, int lines, class View, class Places>
__device__ void stage_tile(const View& view, const typename Places::Steps& steps, Places& places,
                           typename Tile::T* tile) {
  using T = typename Tile::T;
  // Where packs are exchanged alike in a thread's lines (staged_at), its places lie evenly.
  constexpr int period = along_depth || sizeof(T) == 2 ? 8 : 4;
  constexpr bool alike = E == Tile::pack && Places::lines % period == 0;
  constexpr int apart = Places::lines * (along_depth ? Tile::depth : lines);
  T* const first =
      tile + staged_at<Tile, along_depth, lines>(places.row_in_tile(0), places.depth_in_tile(0));
  places.next_tile(view, steps, [&](int i, const T* pointer) {
    const int row = places.row_in_tile(i);
    const int k = places.depth_in_tile(i);
    T* const to = alike ? first + i * apart : tile + staged_at<Tile, along_depth, lines>(row, k);
    if constexpr (E == Tile::pack) {
      simt::cp_async16(to, pointer != nullptr ? pointer : view.data, pointer != nullptr ? 16 : 0);
    } else {
      to[(along_depth ? k : row) % Tile::pack] = pointer != nullptr ? *pointer : T();
    }
  });
}

// One kernel of the core. E: elements of a load.
template <class Product, class OfTile, int E>
struct MmaVariant : ProductTypes<Product> {
  using typename ProductTypes<Product>::A;
  using typename ProductTypes<Product>::B;
  using Tile = OfTile;
  static constexpr int load = E;
  using PlacesA = MmaPlaces<A, Tile::rows, Tile::depth, E, Product::a_along_depth, Tile::threads>;
  using PlacesB =
      MmaPlaces<B, Tile::columns, Tile::depth, E, Product::b_along_depth, Tile::threads>;
  using Steps = OperandSteps<typename PlacesA::Steps, typename PlacesB::Steps>;
};

// out = a b^T
template <class Variant>
__global__ void __launch_bounds__(Variant::Tile::threads, Variant::Tile::resident_blocks)
    mma_kernel(const typename Variant::A __grid_constant__ a,
               const typename Variant::B __grid_constant__ b,
               const typename Variant::Output __grid_constant__ out,
               const typename Variant::Steps __grid_constant__ steps, const DepthSplit split) {
  using Tile = typename Variant::Tile;
  using T = typename Tile::T;
  constexpr int E = Variant::load;
  constexpr bool a_along_depth = Variant::a_along_depth;
  constexpr bool b_along_depth = Variant::b_along_depth;
  auto* const tiles_a = simt::dynamic_shared<T>();
  auto* const tiles_b = tiles_a + Tile::stages * Tile::rows * Tile::depth;
  const auto position_of = [&](unsigned tile) {
    return TilePosition(tile, static_cast<int>(out.rows.size()), out.columns, Tile::rows,
                        Tile::columns);
  };
  const TilePosition position = position_of(blockIdx.x);
  const int first_depth = static_cast<int>(blockIdx.z) * split.steps * Tile::depth;
  typename Variant::PlacesA places_a(a, position.group, position.row, first_depth);
  typename Variant::PlacesB places_b(b, position.group, position.column, first_depth);

  const auto stage = [&](int step) {
    if (step < split.steps) {
      const int slot = step % Tile::stages;
      stage_tile<Tile, E, a_along_depth, Tile::rows>(a, steps.a, places_a,
                                                     tiles_a + slot * Tile::rows * Tile::depth);
      stage_tile<Tile, E, b_along_depth, Tile::columns>(
          b, steps.b, places_b, tiles_b + slot * Tile::columns * Tile::depth);
    }
    simt::cp_async_commit();  // one group per step, even if empty
  };
  float sums[4][8][4] = {};
#pragma unroll 1
  for (int step = 0; step + 1 < Tile::stages; ++step) {
    stage(step);
  }
  // Not kept in registers until here.
  const WarpPlace<Tile> warp(computed_here(threadIdx.x));
  Fragments<Tile, a_along_depth, true, Tile::rows> fragments_a[2];
  Fragments<Tile, b_along_depth, false, Tile::columns> fragments_b[2];
  const auto load = [&](int step, int part, int to) {
    const int slot = step % Tile::stages;
    fragments_a[to].load(tiles_a + slot * Tile::rows * Tile::depth, warp.row, part);
    fragments_b[to].load(tiles_b + slot * Tile::columns * Tile::depth, warp.column, part);
  };
  simt::cp_async_wait<Tile::stages - 2>();
  __syncthreads();
  load(0, 0, 0);
  const auto run_step = [&](int step, auto first_part) {
#pragma unroll
    for (int part = 0; part < Tile::parts; ++part) {
      const int now = (first_part + part) % 2;
      if (part == 0) {
        stage(step + Tile::stages - 1);
      }
      if (part + 1 == Tile::parts) {
        simt::cp_async_wait<Tile::stages - 2>();
        // Everybody's copies of the next step have arrived, and nobody reads this one again, which
        // is the next to be filled.
        __syncthreads();
      }
      load(step + (part + 1) / Tile::parts, (part + 1) % Tile::parts, 1 - now);
      multiply<Tile>(sums, fragments_a[now], fragments_b[now]);
    }
  };
  // Twice a step's parts are an even number: which of two fragments is next is known.
#pragma unroll 1
  for (int step = 0; step < split.steps; ++step) {
    run_step(step, std::integral_constant<int, 0>());
    if constexpr (Tile::parts == 1) {
      if (++step == split.steps) {
        break;
      }
      run_step(step, std::integral_constant<int, 1>());
    }
  }
  const auto pack_at = [&](int i) -> float(&)[4] { return sums[i / 8][i % 8]; };
  __syncthreads();  // the tiles have been read, and are overwritten
  // Not kept in registers through the loop.
  const WarpPlace<Tile> from(computed_here(threadIdx.x));
  double no_row_sum = 0;
  if (split.splits > 1 && !sums_of_all_splits<float, 32, 0>(split, pack_at, false, no_row_sum)) {
    return;
  }
  store_tile<Tile, !a_along_depth, !b_along_depth>(out, position_of(computed_here(blockIdx.x)),
                                                   from, sums);
}

}  // namespace warptape::matrix
