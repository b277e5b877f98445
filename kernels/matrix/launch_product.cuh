#pragma once
// The launches of the matrix core; matrix_*.cu instantiate them.

#include "core/device/launch.h"
#include "kernels/matrix/fma_core.cuh"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/mma_core.cuh"

namespace warptape::matrix {

// Whether runs of `pack` elements along the depth (or along the rows) are whole, contiguous and
// aligned to 16 bytes.
template <class T>
bool fits_packs(const MatrixView<T>& view, bool along_depth, int pack) {
  const int extent = along_depth ? view.depth.extent : view.rows.extent;
  const int64_t own = along_depth ? view.depth_stride : view.row_stride;
  const int64_t other = along_depth ? view.row_stride : view.depth_stride;
  return own == 1 && extent % pack == 0 && other % pack == 0 && view.group_stride % pack == 0 &&
         simt::is_aligned16(view.data);
}
template <class T>
bool fits_packs(const FilterView<T>& view, bool, int pack) {
  return view.rows.extent % pack == 0 && view.tap_y_stride % pack == 0 &&
         view.tap_x_stride % pack == 0 && view.channel_stride % pack == 0 &&
         view.group_stride % pack == 0 && simt::is_aligned16(view.data);
}
template <class T, bool rows_are_pixels>
bool fits_packs(const ImageView<T, rows_are_pixels>& view, bool, int pack) {
  const int channels = rows_are_pixels ? view.depth.inner : view.rows.inner;
  return channels % pack == 0 && view.taps.pixel_pitch % pack == 0 &&
         view.group_stride % pack == 0 && simt::is_aligned16(view.data);
}

template <class T>
inline constexpr bool on_tensor_cores = std::is_same_v<T, simt::bfloat16>;

// Groups of packs per thread: wide tiles have two along the columns.
template <class T>
TileSize tile_size(bool wide) {
  if constexpr (on_tensor_cores<T>) {
    return {MmaTile::rows, MmaTile::rows, MmaTile::depth};
  } else {
    using Wide = FmaTile<T, 2, 2>;
    using Narrow = FmaTile<T, 2, 1>;
    return {Wide::rows, wide ? Wide::columns : Narrow::columns, Wide::depth};
  }
}

// Calls run(kernel, variant) with the kernel for a plan.
template <class Product, class Run>
void with_kernel(const Plan& plan, const Run& run) {
  using T = typename Product::In;
  constexpr int pack = simt::pack_size<T>;
  const auto run_fma = [&]<class Variant>(Variant variant) { run(fma_kernel<Variant>, variant); };
  const auto run_mma = [&]<class Variant>(Variant variant) { run(mma_kernel<Variant>, variant); };
  if constexpr (on_tensor_cores<T>) {
    plan.packs ? run_mma(MmaVariant<Product, pack>()) : run_mma(MmaVariant<Product, 1>());
  } else if (!plan.packs) {
    // Single elements leave too few registers for wide tiles.
    run_fma(FmaVariant<Product, 2, 1, 1>());
  } else if (plan.wide) {
    run_fma(FmaVariant<Product, 2, 2, pack>());
  } else {
    run_fma(FmaVariant<Product, 2, 1, pack>());
  }
}

}  // namespace warptape::matrix

namespace warptape::cuda {

template <class Product>
matrix::Plan plan_product(const Product& product) {
  using namespace matrix;
  using T = typename Product::In;
  constexpr int pack = simt::pack_size<T>;
  const bool packs = fits_packs(product.a, Product::a_along_depth, pack) &&
                     fits_packs(product.b, Product::b_along_depth, pack);
  const bool wide = packs && product.out.columns > tile_size<T>(false).columns;
  Plan plan = make_plan(tile_size<T>(wide), product.out.rows.size(), product.out.columns,
                        product.a.depth.size(), product.out.groups);
  plan.packs = packs;
  plan.wide = wide;
  return plan;
}

template <class Product>
void launch_product(const char* name, gpu::StreamHandle stream, const Product& product,
                    const matrix::Plan& plan, matrix::Accumulator<typename Product::In>* partials) {
  using namespace matrix;
  const DepthSplit split{plan.steps, plan.splits, partials};
  with_kernel<Product>(plan, [&]<class Variant>(auto* kernel, Variant) {
    const typename Variant::Steps steps{Variant::PlacesA::steps(product.a),
                                        Variant::PlacesB::steps(product.b)};
    launch(kernel,
           {.grid = dim3(static_cast<unsigned>(plan.tiles), 1, static_cast<unsigned>(plan.splits)),
            .block = dim3(block_threads),
            .smem = on_tensor_cores<typename Product::In> ? MmaTile::shared_bytes : 0,
            .stream = stream,
            .name = name},
           product.a, product.b, product.out, steps, split);
  });
  if (plan.splits > 1) {
    using Sum = Accumulator<typename Product::In>;
    using Out = std::remove_pointer_t<decltype(product.out.data)>;
    const int64_t results = product.out.rows.size() * product.out.columns * product.out.groups;
    launch(finish_splits_kernel<Sum, Out>,
           {.grid = dim3(static_cast<unsigned>((results + block_threads - 1) / block_threads)),
            .block = dim3(block_threads),
            .stream = stream,
            .name = name},
           partials, plan.splits, product.out);
  }
}

#define WARPTAPE_INSTANTIATE_PRODUCT(Product)                                  \
  template matrix::Plan plan_product(const Product&);                          \
  template void launch_product(const char*, gpu::StreamHandle, const Product&, \
                               const matrix::Plan&, matrix::Accumulator<typename Product::In>*)

}  // namespace warptape::cuda
