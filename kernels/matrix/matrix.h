#pragma once
// The matrix core: one product with three ways of lying in memory, which serve GEMM and
// convolutions, forward and both gradients. Geometry depends on sizes and addresses alone, so that
// results have the same bits on every GPU.

#include <algorithm>
#include <type_traits>

#include "core/device/gpu.h"
#include "kernels/matrix/output.h"
#include "kernels/matrix/views.h"

namespace warptape::matrix {

// What sums are made in.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, double>, double, float>;

// How a product is spread over blocks.
struct Plan {
  bool packs = false;  // loads of 16 bytes
  bool wide = false;   // tiles of 128 columns instead of 64
  int tiles = 0;
  int steps = 0;  // along the depth, per split
  int splits = 1;
  int64_t partials = 0;  // accumulators of workspace
};

struct TileSize {
  int rows;
  int columns;
  int depth;
};

// Few tiles and a long depth: blocks share a tile, each a stretch of the depth that is not short.
inline Plan make_plan(const TileSize& tile, int64_t rows, int64_t columns, int64_t depth,
                      int64_t groups) {
  constexpr int64_t enough_tiles = 256;
  constexpr int64_t least_steps = 16;
  const auto parts = [](int64_t n, int64_t size) { return (n + size - 1) / size; };
  Plan plan;
  const int64_t tiles = parts(rows, tile.rows) * parts(columns, tile.columns) * groups;
  const int64_t steps = parts(depth, tile.depth);
  const int64_t wanted = enough_tiles / std::max<int64_t>(tiles, 1);
  const int64_t splits = std::clamp<int64_t>(steps / least_steps, 1, std::max<int64_t>(wanted, 1));
  plan.tiles = static_cast<int>(tiles);
  plan.steps = static_cast<int>(parts(steps, splits));
  plan.splits = static_cast<int>(std::max<int64_t>(parts(steps, std::max(plan.steps, 1)), 1));
  plan.partials = plan.splits > 1 ? plan.splits * groups * rows * columns : 0;
  return plan;
}

// out = a b^T. Where packs lie: along the depth, or along the rows.
template <class T, class Out, class ViewA, bool a_depth, class ViewB, bool b_depth>
struct Product {
  using In = T;
  using A = ViewA;
  using B = ViewB;
  static constexpr bool a_along_depth = a_depth;
  static constexpr bool b_along_depth = b_depth;
  A a;
  B b;
  Output<Out> out;
};

// T: float, double or bfloat16. These have names of their own for profilers to show.
//   Forward     a: pixels by taps, packs along the depth; b: packs along the depth
//   DataGrad    a: as forward;                            b: packs along the rows
//   WeightGrad  a: packs along the rows;                  b: taps by pixels, packs along the rows
template <class T, class Out>
struct Forward : Product<T, Out, ImageView<T, true>, true, MatrixView<T>, true> {};
template <class T, class Out>
struct DataGrad : Product<T, Out, ImageView<T, true>, true, FilterView<T>, false> {};
template <class T, class Out>
struct WeightGrad : Product<T, Out, MatrixView<T>, false, ImageView<T, false>, false> {};

}  // namespace warptape::matrix

namespace warptape::cuda {

template <class Product>
matrix::Plan plan_product(const Product& product);

// partials: plan.partials accumulators.
template <class Product>
void launch_product(const char* name, gpu::StreamHandle stream, const Product& product,
                    const matrix::Plan& plan, matrix::Accumulator<typename Product::In>* partials);

}  // namespace warptape::cuda
