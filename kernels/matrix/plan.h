#pragma once
// How a product is spread over the GPU. A plan is made on the host from sizes, strides, element
// types and addresses alone, so that it is the same on every run and on every GPU, and with it the
// bits of the result. It can be printed, and compared with the one that a test wants.

#include <compare>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/matrix/views.h"

namespace warptape::matrix {

inline constexpr int block_threads = 256;  // of the ordinary cores
// On the tensor cores a warp has 64 x 64 results.
inline constexpr int mma_sums = 64 * 64 / 32;
inline constexpr int mma_stages = 4;  // of copies that are under way

struct TileSize {
  int rows = 0;
  int columns = 0;
  int depth = 0;  // of a step
  bool operator==(const TileSize&) const = default;
};

// Which cores multiply: the tensor cores have bfloat16, and float rounded to TF32.
enum class Cores { Float, Double, Tensor, Tf32 };

constexpr bool are_tensor_cores(Cores cores) {
  return cores == Cores::Tensor || cores == Cores::Tf32;
}

struct Plan {
  Cores cores = Cores::Float;
  int pack = 1;  // elements of a load: 16 bytes or one
  TileSize tile;
  int64_t tiles = 0;
  int steps = 0;   // along the depth, per split
  int splits = 1;  // blocks that share a tile, each a stretch of the depth
  int64_t blocks = 0;
  int sums_at_once = 1;     // partial sums that a block adds up (split_sum.cuh)
  int summing_threads = 0;  // of a block; the others have no rows

  bool operator==(const Plan&) const = default;
};

// All of a few splits; else such that groups of them, and then the groups, are about as many.
int sums_at_once(int splits);

// The threads of a block that own some of so many rows, where these are one tile's: whole warps.
int summing_threads(int64_t rows, const TileSize& tile, Cores cores);

// Sums that one of them has.
constexpr int64_t sums_of_thread(const TileSize& tile, Cores cores) {
  return are_tensor_cores(cores) ? mma_sums : int64_t{tile.rows} * tile.columns / block_threads;
}

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
  bool is_pass = false;    // results go through shared memory: no largest tiles
  bool thin_rows = false;  // what is thin of them (has_thin_rows)

  auto operator<=>(const ProductSize&) const = default;
};

// pack: as in the plan. Float takes the place of Tf32, which has packs alone, where there are none.
Plan make_plan(const ProductSize& size, Cores cores, int pack);

// Tiles of the ordinary cores are of squares of 16 packs: 2 x 2, 2 x 1 or 1 x 1 of them. Single
// elements leave too few registers for the largest.
inline constexpr int fma_square = 16;
inline constexpr int fma_depth = 8;

// What the tensor cores' tiles are like (mma_fragments.cuh).
constexpr TileSize mma_tile(Cores cores) {
  return {128, 128, cores == Cores::Tensor ? 32 : 16};
}
// The one for results of 64 rows or columns and fewer, of packs alone. Half as many threads have
// the registers for places of half the depth.
constexpr TileSize thin_mma_tile(Cores cores, bool thin_rows) {
  const TileSize square = mma_tile(cores);
  return thin_rows ? TileSize{64, square.columns, square.depth / 2}
                   : TileSize{square.rows, 64, square.depth / 2};
}
// Results have pixels for rows and channels for columns, or the rows of a batch and features; of a
// gradient of weights, whose operands both have packs along the rows, channels are the rows.
template <class Product>
inline constexpr bool has_thin_rows = !Product::a_along_depth && !Product::b_along_depth;

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
  // Few pixels per image lie far apart, but less than 2^31 packs in a tile.
  bool is_near = true;
  if constexpr (!rows_are_pixels) {
    channels = view.rows.inner;
  } else {
    constexpr int64_t most_rows = 256;
    is_near = view.taps.image_pitch <= (int64_t{1} << 31) / most_rows * pack ||
              view.rows.in_image() >= most_rows;
  }
  return is_near && channels % pack == 0 && view.taps.pixel_pitch % pack == 0 &&
         view.taps.image_pitch % pack == 0 && view.group_stride % pack == 0 &&
         is_aligned_pack(view.data);
}

// tf32: whether floats may be rounded.
template <class T>
constexpr Cores cores_of(bool tf32 = false) {
  return sizeof(T) == 2   ? Cores::Tensor
         : sizeof(T) == 8 ? Cores::Double
         : tf32           ? Cores::Tf32
                          : Cores::Float;
}

template <class Product>
Plan plan_product(const Product& product, bool tf32 = false) {
  using T = typename Product::In;
  constexpr int pack = pack_of<T>;
  const bool packs = fits_packs(product.a, Product::a_along_depth, pack) &&
                     fits_packs(product.b, Product::b_along_depth, pack);
  return make_plan({product.out.rows.size(), product.out.columns, product.a.depth.size(),
                    product.out.groups, Product::is_pass, has_thin_rows<Product>},
                   cores_of<T>(tf32), packs ? pack : 1);
}

}  // namespace warptape::matrix
