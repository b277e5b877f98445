#pragma once
// The matrix core on the tensor cores, for bfloat16 with float sums: a block of 8 warps makes a
// 128 x 128 tile in steps of 32 along the depth, a warp 64 x 32 of it. Three steps of both operands
// are in flight: asynchronous copies that fill padding with zeros. An operand whose packs lie along
// the depth is staged as [row][depth], else as [depth][row] and transposed by ldmatrix; packs of 16
// bytes are exchanged within a line such that the 8 rows of a matrix lie in different banks.

#include "kernels/matrix/pass_store.cuh"
#include "kernels/matrix/split_sum.cuh"
#include "kernels/matrix/tile_loader.cuh"
#include "kernels/matrix/tile_store.cuh"

namespace warptape::matrix {

struct MmaTile {
  static constexpr int rows = mma_tile.rows;  // and columns
  static constexpr int depth = mma_tile.depth;
  static constexpr int pack = 8;
  static constexpr int stages = 3;
  static constexpr int elements = rows * depth;
  static constexpr int shared_bytes = stages * 2 * elements * 2;
  static constexpr int slab_bytes = rows * rows * 4;  // sums of a tile
};

// Where the pack at (row, depth) of a tile is staged, in elements.
template <bool along_depth>
WARPTAPE_HOST_DEVICE int staged_at(int row, int depth) {
  constexpr int pack = MmaTile::pack;
  if (along_depth) {
    // Two rows make 128 bytes, all banks.
    const int slot = depth / pack ^ (row / 2 % 4);
    return row * MmaTile::depth + slot * pack;
  }
  const int slot = row / pack ^ (depth % 8);
  return depth * MmaTile::rows + slot * pack;
}

// Starts the copies of the next step, or makes them at once where elements have to be gathered
// singly.
template <int E, bool along_depth, class View, class Places>
__device__ void stage_tile(const View& view, const typename Places::Steps& steps, Places& places,
                           int64_t group_offset, simt::bfloat16* tile) {
  places.next_tile(view, steps, group_offset, [&](int i, const simt::bfloat16* pointer) {
    const int row = places.row_in_tile(i);
    const int k = places.depth_in_tile(i);
    simt::bfloat16* to = tile + staged_at<along_depth>(row, k);
    if constexpr (E == MmaTile::pack) {
      simt::cp_async16(to, pointer != nullptr ? pointer : view.data, pointer != nullptr ? 16 : 0);
    } else {
      to[(along_depth ? k : row) % MmaTile::pack] =
          pointer != nullptr ? *pointer : simt::bfloat16();
    }
  });
}

// The fragments of 16 neighbouring rows of an operand at `depth` and the 15 behind it: for the left
// operand in the order of mma's a, for the right one its b of 8 rows and of the next 8.
template <bool along_depth, bool left>
__device__ void load_fragments(uint32_t (&fragments)[4], const simt::bfloat16* tile, int row,
                               int depth) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int matrix = lane / 8;
  // Which of the four 8 x 8 matrices follow along the rows first.
  const int next_row = (left ? matrix % 2 : matrix / 2) * 8;
  const int next_depth = (left ? matrix / 2 : matrix % 2) * 8;
  if (along_depth) {
    simt::ldmatrix_x4(fragments,
                      tile + staged_at<true>(row + next_row + lane % 8, depth + next_depth));
  } else {
    simt::ldmatrix_x4_trans(fragments,
                            tile + staged_at<false>(row + next_row, depth + next_depth + lane % 8));
  }
}

// One kernel of the core. E: elements of a load.
template <class Product, int E>
struct MmaVariant : ProductTypes<Product> {
  using typename ProductTypes<Product>::A;
  using typename ProductTypes<Product>::B;
  using Tile = MmaTile;
  static constexpr int load = E;
  using PlacesA = TilePlaces<A, Tile::rows, Tile::depth, E, Product::a_along_depth, block_threads>;
  using PlacesB = TilePlaces<B, Tile::rows, Tile::depth, E, Product::b_along_depth, block_threads>;
  using Steps = OperandSteps<typename PlacesA::Steps, typename PlacesB::Steps>;
};

// out = a b^T
template <class Variant>
__global__ void __launch_bounds__(block_threads, 2)
    mma_kernel(const typename Variant::A __grid_constant__ a,
               const typename Variant::B __grid_constant__ b,
               const typename Variant::Output __grid_constant__ out,
               const typename Variant::Steps __grid_constant__ steps, const DepthSplit split) {
  using Tile = MmaTile;
  constexpr int E = Variant::load;
  constexpr bool a_along_depth = Variant::a_along_depth;
  constexpr bool b_along_depth = Variant::b_along_depth;
  auto* const tiles_a = simt::dynamic_shared<simt::bfloat16>();
  auto* const tiles_b = tiles_a + Tile::stages * Tile::elements;

  const TilePosition position(blockIdx.x, static_cast<int>(out.rows.size()), out.columns,
                              Tile::rows, Tile::rows);
  const int first_depth = static_cast<int>(blockIdx.z) * split.steps * Tile::depth;
  typename Variant::PlacesA places_a(a, position.row, first_depth);
  typename Variant::PlacesB places_b(b, position.column, first_depth);
  const int64_t offset_a = position.group * a.group_stride;
  const int64_t offset_b = position.group * b.group_stride;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int row = warp / 4 * 64;
  const int column = warp % 4 * 32;

  const auto stage = [&](int step) {
    if (step < split.steps) {
      const int slot = step % Tile::stages * Tile::elements;
      stage_tile<E, a_along_depth>(a, steps.a, places_a, offset_a, tiles_a + slot);
      stage_tile<E, b_along_depth>(b, steps.b, places_b, offset_b, tiles_b + slot);
    }
    simt::cp_async_commit();  // one group per step, even if empty
  };

  float sums[4][4][4] = {};
  stage(0);
  stage(1);
  for (int step = 0; step < split.steps; ++step) {
    simt::cp_async_wait<1>();
    // Everybody's copies of this step have arrived, and nobody reads the stage that is filled next.
    __syncthreads();
    stage(step + 2);
    const simt::bfloat16* const tile_a = tiles_a + step % Tile::stages * Tile::elements;
    const simt::bfloat16* const tile_b = tiles_b + step % Tile::stages * Tile::elements;
#pragma unroll
    for (int k = 0; k < Tile::depth; k += 16) {
      uint32_t fragments_a[4][4];
      uint32_t fragments_b[2][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        load_fragments<a_along_depth, true>(fragments_a[i], tile_a, row + 16 * i, k);
      }
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        load_fragments<b_along_depth, false>(fragments_b[j], tile_b, column + 16 * j, k);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const uint32_t b_pair[2] = {fragments_b[j / 2][j % 2 * 2],
                                      fragments_b[j / 2][j % 2 * 2 + 1]};
          simt::mma_m16n8k16(sums[i][j], fragments_a[i], b_pair);
        }
      }
    }
  }
  const auto pack_at = [&](int i) -> float(&)[4] { return sums[i / 4][i % 4]; };
  double no_row_sum = 0;
  if (split.splits > 1 && !sums_of_all_splits<float, 16, 0>(split, pack_at, false, no_row_sum)) {
    return;
  }
  if constexpr (Variant::is_pass) {
    // All sums leave the registers, which what follows needs, for where the tiles were.
    auto* const slab = simt::dynamic_shared<float>();
    __syncthreads();  // the tiles have been read
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int own = row + 16 * i + 8 * half + lane / 4;
          float* const to = slab + own * Tile::rows + column + 8 * j + lane % 4 * 2;
          to[0] = sums[i][j][2 * half];
          to[1] = sums[i][j][2 * half + 1];
        }
      }
    }
    __syncthreads();
    store_slab(out, Slab<float>{slab, Tile::rows, Tile::rows}, position.group, position.column,
               Tile::rows, [&](int r) { return position.row + r; });
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float pair[2] = {sums[i][j][2 * half], sums[i][j][2 * half + 1]};
          store_results<2>(out, position.group, position.row + row + 16 * i + 8 * half + lane / 4,
                           position.column + column + 8 * j + lane % 4 * 2, pair);
        }
      }
    }
  }
}

}  // namespace warptape::matrix
