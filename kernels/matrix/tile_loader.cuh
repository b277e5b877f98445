#pragma once
// How a block brings a tile of an operand on chip: packs of E elements that are contiguous along
// the depth or along the rows of the view, each thread always at the same places of the tile.

#include <type_traits>

#include "core/simt/packs.cuh"
#include "kernels/matrix/views.h"

namespace warptape::matrix {

// How indices advance, worked out on the host: registers are short.
template <class Line, class Tile>
struct TileSteps {
  Line line;  // from a pack of a thread to its next in a tile: along the rows, or the depth
  Tile tile;  // to the next tile
};

template <class A, class B>
struct OperandSteps {
  A a;
  B b;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// The places of a thread in tiles of Rows x Depth that follow each other along the depth: `count`
// packs, of several rows at one depth where packs lie along the depth, else of several depths at
// one row.
template <class View, int Rows, int Depth, int E, bool along_depth, int Threads>
class TilePlaces {
 public:
  using Element = typename View::Element;
  using RowIndex = typename decltype(View::rows)::Index;
  using DepthIndex = typename decltype(View::depth)::Index;
  using Steps = TileSteps<std::conditional_t<along_depth, RowIndex, DepthIndex>, DepthIndex>;
  static constexpr int packs = Rows * Depth / E;
  static constexpr int count = packs < Threads ? 1 : packs / Threads;
  static_assert(packs <= Threads || packs % Threads == 0);
  static constexpr int per_line = along_depth ? Depth / E : Rows / E;
  static constexpr int lines = Threads / per_line;  // of the tile, per pass of the block

  static Steps steps(const View& view) {
    if constexpr (along_depth) {
      return {view.rows.split(lines), view.depth.split(Depth)};
    } else {
      return {view.depth.split(Depth / count), view.depth.split(Depth)};
    }
  }

  __device__ TilePlaces(const View& view, int tile_row, int tile_depth) {
    const int thread = static_cast<int>(threadIdx.x);
    const int along = thread % per_line * E;
    const int line = thread / per_line;
    first_row_ = along_depth ? line : along;
    first_depth_ = along_depth ? along : line;
    row_ = view.rows.split(tile_row + first_row_);
    depth_ = view.depth.split(tile_depth + first_depth_);
  }

  // False for threads beyond the packs of a small tile.
  static __device__ bool is_active() {
    return packs >= Threads || static_cast<int>(threadIdx.x) < packs;
  }

  // Where packs lie along the rows, all packs of a thread have the same rows; so many threads share
  // those, each with the depth_in_tile of one of them.
  static constexpr int lines_in_use = packs < Threads ? Depth : Depth / count;

  // Where pack i belongs in a tile.
  __device__ int row_in_tile(int i) const { return first_row_ + (along_depth ? i * lines : 0); }
  __device__ int depth_in_tile(int i) const { return first_depth_ + (along_depth ? 0 : i * lines); }

  // Calls body(i, pointer) for the packs of the next tile, with nullptr for zeros.
  template <class Body>
  __device__ void next_tile(const View& view, const Steps& steps, int64_t group_offset,
                            const Body& body) {
    if (!is_active()) {
      return;
    }
    RowIndex row = row_;
    // Many single elements are not worth the registers that unrolling takes.
#pragma unroll(count > 4 ? 1 : count)
    for (int i = 0; i < count; ++i) {
      const Element* pointer = nullptr;
      if (view.rows.contains(row) && view.depth.contains(depth_)) {
        pointer = view.at(row, depth_);
      }
      body(i, pointer == nullptr ? nullptr : pointer + group_offset);
      if constexpr (along_depth) {
        view.rows.advance(row, steps.line);
      } else {
        view.depth.advance(depth_, steps.line);
      }
    }
    if constexpr (along_depth) {
      view.depth.advance(depth_, steps.tile);
    }
  }

 private:
  RowIndex row_;
  DepthIndex depth_;
  int first_row_;
  int first_depth_;
};

// What a kernel needs to know of a product (matrix.h).
template <class Product>
struct ProductTypes {
  using A = typename Product::A;
  using B = typename Product::B;
  static constexpr bool a_along_depth = Product::a_along_depth;
  static constexpr bool b_along_depth = Product::b_along_depth;
  using Output = decltype(Product{}.out);
  static constexpr bool has_row_sums = Product::has_row_sums;
  static constexpr bool pools = Product::pools;
  static constexpr bool is_pass = Product::is_pass;
};

}  // namespace warptape::matrix
