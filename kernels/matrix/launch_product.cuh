#pragma once
// The launches of the matrix core; matrix_*.cu instantiate them.

#include <algorithm>
#include "core/device/arrivals.h"

#include "core/device/launch.h"
#include "kernels/matrix/fma_core.cuh"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/mma_core.cuh"

namespace warptape::matrix {

template <class T>
inline constexpr bool on_tensor_cores = cores_of<T>() == Cores::Tensor;

// Dynamic shared memory of the kernels of a product.
template <class Product>
constexpr size_t shared_bytes() {
  if (!on_tensor_cores<typename Product::In>) {
    return 0;
  }
  return Product::is_pass ? std::max(MmaTile::shared_bytes, MmaTile::slab_bytes)
                          : MmaTile::shared_bytes;
}

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
  DepthSplit split{.steps = plan.steps, .splits = plan.splits};
  if (plan.splits > 1) {
    split.sums_at_once = plan.sums_at_once;
    split.threads = plan.summing_threads;
    split.partials = partials;
    split.arrivals = gpu::arrival_counters(stream, arrivals_of(plan));
  }
  with_kernel<Product>(plan, [&]<class Variant>(auto* kernel, Variant) {
    const typename Variant::Steps steps{Variant::PlacesA::steps(product.a),
                                        Variant::PlacesB::steps(product.b)};
    launch(kernel,
           {.grid = dim3(static_cast<unsigned>(plan.tiles), 1, static_cast<unsigned>(plan.splits)),
            .block = dim3(block_threads),
            .smem = shared_bytes<Product>(),
            .stream = stream,
            .name = name},
           product.a, product.b, product.out, steps, split);
  });
}

#define WARPTAPE_INSTANTIATE_PRODUCT(Product)                                  \
  template void launch_product(const char*, gpu::StreamHandle, const Product&, \
                               const matrix::Plan&, matrix::Accumulator<typename Product::In>*)

}  // namespace warptape::on_cuda
