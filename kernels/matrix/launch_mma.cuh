#pragma once
// The launches of the tensor cores.

#include "kernels/matrix/launch_product.cuh"
#include "kernels/matrix/mma_core.cuh"

namespace warptape::on_cuda {

template <class Product>
void launch_on_tensor_cores(const char* name, gpu::StreamHandle stream, const Product& product,
                            const matrix::Plan& plan,
                            matrix::Accumulator<typename Product::In>* partials) {
  using namespace matrix;
  using T = typename Product::In;
  constexpr int pack = pack_of<T>;
  const auto run = [&]<class Variant>(Variant) {
    using Tile = typename Variant::Tile;
    if (plan.tile == Tile::size) {
      launch_variant<Variant>(mma_kernel<Variant>, Tile::threads, Tile::shared_bytes, name, stream,
                              product, plan, partials);
    }
  };
  using Square = MmaTile<T, 2, 2, 2>;
  using Thin = std::conditional_t<has_thin_rows<Product>, MmaTile<T, 1, 2, 1>, MmaTile<T, 2, 1, 1>>;
  static_assert(Square::size == mma_tile(cores_of<T>(true)));
  static_assert(Thin::size == thin_mma_tile(cores_of<T>(true), has_thin_rows<Product>));
  if (plan.pack > 1) {
    run(MmaVariant<Product, Square, pack>());
    run(MmaVariant<Product, Thin, pack>());
  } else if constexpr (sizeof(T) == 2) {
    run(MmaVariant<Product, Square, 1>());
  }
}

}  // namespace warptape::on_cuda

#define WARPTAPE_INSTANTIATE_ON_TENSOR_CORES(Product)                                  \
  template void launch_on_tensor_cores(const char*, gpu::StreamHandle, const Product&, \
                                       const matrix::Plan&,                            \
                                       matrix::Accumulator<typename Product::In>*)
