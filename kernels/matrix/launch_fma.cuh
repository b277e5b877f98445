#pragma once
// The launches of the ordinary cores.

#include "kernels/matrix/fma_core.cuh"
#include "kernels/matrix/launch_product.cuh"

namespace warptape::on_cuda {

template <class Product>
void launch_on_ordinary_cores(const char* name, gpu::StreamHandle stream, const Product& product,
                              const matrix::Plan& plan,
                              matrix::Accumulator<typename Product::In>* partials) {
  using namespace matrix;
  const auto run = [&]<class Variant>(Variant) {
    if (plan.tile == Variant::Tile::size) {
      launch_variant<Variant>(fma_kernel<Variant>, block_threads, 0, name, stream, product, plan,
                              partials);
    }
  };
  constexpr int pack = pack_of<typename Product::In>;
  // Passes have no plans with the largest tiles (make_plan).
  if (plan.pack > 1) {
    if constexpr (!Product::is_pass) {
      run(FmaVariant<Product, 2, 2, pack>());
    }
    run(FmaVariant<Product, 2, 1, pack>());
    run(FmaVariant<Product, 1, 1, pack>());
  } else {
    run(FmaVariant<Product, 2, 1, 1>());
    run(FmaVariant<Product, 1, 1, 1>());
  }
}

}  // namespace warptape::on_cuda
