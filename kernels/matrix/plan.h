#pragma once
// How a product is spread over the GPU. A plan is made on the host from sizes, strides, element
// types and addresses alone, so that it is the same on every run and on every GPU, and with it the
// bits of the result. It can be printed, and compared with the one that a test wants.

#include <compare>
#include <cstdint>
#include <string>

#include "kernels/matrix/views.h"

namespace warptape::matrix {

inline constexpr int block_threads = 256;

struct TileSize {
  int rows = 0;
  int columns = 0;
  int depth = 0;  // of a step
  bool operator==(const TileSize&) const = default;
};

// Which cores multiply.
enum class Cores { Float, Double, Tensor };

struct Plan {
  int pack = 1;  // elements of a load: 16 bytes or one
  TileSize tile;
  int64_t tiles = 0;
  int steps = 0;   // along the depth, per split
  int splits = 1;  // blocks that share a tile, each a stretch of the depth
  int64_t blocks = 0;
  int sums_at_once = 1;                 // partial sums that a block adds up (split_sum.cuh)
  int summing_threads = block_threads;  // of a block; the others have no rows

  bool operator==(const Plan&) const = default;
};

// All of a few splits; else such that groups of them, and then the groups, are about as many.
int sums_at_once(int splits);

// The threads of a block that own some of so many rows, where these are one tile's: whole warps.
int summing_threads(int64_t rows, Cores cores);

// Accumulators of so many bytes that hold the float64 sums of a tile's rows between blocks.
constexpr int64_t partial_row_sums(int rows, size_t accumulator_bytes) {
  return rows * static_cast<int64_t>(sizeof(double) / accumulator_bytes);
}
// Counters with which a plan's blocks learn who is the last.
inline int64_t arrivals_of(const Plan& plan) {
  return plan.splits > 1 ? 2 * plan.blocks : 0;
}

// "packs of 4, tiles of 128x128, 256 blocks, 32 splits of 32 steps in groups of 6"
std::string to_string(const Plan& plan);

struct ProductSize {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  int64_t groups = 1;
  bool is_pass = false;  // results go through shared memory: no largest tiles

  auto operator<=>(const ProductSize&) const = default;
};

// pack: as in the plan.
Plan make_plan(const ProductSize& size, Cores cores, int pack);

// Tiles of the ordinary cores are of squares of 16 packs: 2 x 2, 2 x 1 or 1 x 1 of them. Single
// elements leave too few registers for the largest.
inline constexpr int fma_square = 16;
inline constexpr int fma_depth = 8;
inline constexpr TileSize mma_tile{128, 128, 32};

// Elements of T in 16 bytes.
template <class T>
inline constexpr int pack_of = 16 / static_cast<int>(sizeof(T));

template <class T>
bool is_aligned_pack(const T* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

// Whether runs of `pack` elements along the depth (or along the rows) are whole, contiguous and
// aligned to 16 bytes.
template <class T>
bool fits_packs(const MatrixView<T>& view, bool along_depth, int pack) {
  const int extent = along_depth ? view.depth.extent : view.rows.extent;
  const int64_t own = along_depth ? view.depth_stride : view.row_stride;
  const int64_t other = along_depth ? view.row_stride : view.depth_stride;
  return own == 1 && extent % pack == 0 && other % pack == 0 && view.group_stride % pack == 0 &&
         is_aligned_pack(view.data);
}
template <class T>
bool fits_packs(const FilterView<T>& view, bool, int pack) {
  return view.rows.extent % pack == 0 && view.tap_y_stride % pack == 0 &&
         view.tap_x_stride % pack == 0 && view.channel_stride % pack == 0 &&
         view.group_stride % pack == 0 && is_aligned_pack(view.data);
}
template <class T, bool rows_are_pixels, class Rows>
bool fits_packs(const ImageView<T, rows_are_pixels, Rows>& view, bool, int pack) {
  int channels = view.depth.inner;
  if constexpr (!rows_are_pixels) {
    channels = view.rows.inner;
  }
  return channels % pack == 0 && view.taps.pixel_pitch % pack == 0 &&
         view.taps.image_pitch % pack == 0 && view.group_stride % pack == 0 &&
         is_aligned_pack(view.data);
}

template <class T>
constexpr Cores cores_of() {
  return sizeof(T) == 2 ? Cores::Tensor : sizeof(T) == 4 ? Cores::Float : Cores::Double;
}

template <class Product>
Plan plan_product(const Product& product) {
  using T = typename Product::In;
  constexpr int pack = pack_of<T>;
  const bool packs = fits_packs(product.a, Product::a_along_depth, pack) &&
                     fits_packs(product.b, Product::b_along_depth, pack);
  return make_plan({product.out.rows.size(), product.out.columns, product.a.depth.size(),
                    product.out.groups, Product::is_pass},
                   cores_of<T>(), packs ? pack : 1);
}

}  // namespace warptape::matrix
