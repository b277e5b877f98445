#pragma once
// The launches of the matrix core; matrix_*.cu instantiate them.

#include "core/device/launch.h"
#include "kernels/matrix/fma_core.cuh"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/mma_core.cuh"

namespace warptape::matrix {

template <class T>
inline constexpr bool on_tensor_cores = cores_of<T>() == Cores::Tensor;

// Calls run(kernel, variant) with the kernel for a plan.
template <class Product, class Run>
void with_kernel(const Plan& plan, const Run& run) {
  using T = typename Product::In;
  constexpr int pack = pack_of<T>;
  const bool packs = plan.pack > 1;
  const auto run_fma = [&]<class Variant>(Variant variant) {
    if (plan.tile == Variant::Tile::size) {
      run(fma_kernel<Variant>, variant);
    }
  };
  const auto run_mma = [&]<class Variant>(Variant variant) { run(mma_kernel<Variant>, variant); };
  // Passes have no plans with the largest tiles (make_plan).
  if constexpr (on_tensor_cores<T>) {
    packs ? run_mma(MmaVariant<Product, pack>()) : run_mma(MmaVariant<Product, 1>());
  } else if (packs) {
    if constexpr (!Product::is_pass) {
      run_fma(FmaVariant<Product, 2, 2, pack>());
    }
    run_fma(FmaVariant<Product, 2, 1, pack>());
    run_fma(FmaVariant<Product, 1, 1, pack>());
  } else {
    run_fma(FmaVariant<Product, 2, 1, 1>());
    run_fma(FmaVariant<Product, 1, 1, 1>());
  }
}

}  // namespace warptape::matrix

namespace warptape::on_cuda {

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
  if constexpr (!Product::pools && !Product::is_pass) {
    if (plan.splits > 1) {
      using Sum = Accumulator<typename Product::In>;
      using Out = std::remove_pointer_t<decltype(product.out.data)>;
      launch(finish_splits_kernel<Sum, Out>,
             {.grid = dim3(static_cast<unsigned>(plan.finish.blocks)),
              .block = dim3(block_threads),
              .stream = stream,
              .name = name},
             partials, plan.splits, plan.finish.sharers, product.out);
    }
  }
}

#define WARPTAPE_INSTANTIATE_PRODUCT(Product)                                  \
  template void launch_product(const char*, gpu::StreamHandle, const Product&, \
                               const matrix::Plan&, matrix::Accumulator<typename Product::In>*)

}  // namespace warptape::on_cuda
