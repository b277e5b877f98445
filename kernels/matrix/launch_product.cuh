#pragma once
// The launches of the matrix core; matrix_*.cu instantiate them.

#include "core/device/arrivals.h"
#include "core/device/launch.h"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/split_sum.cuh"

namespace warptape::on_cuda {

// The launches of either kind of cores, in launch_mma.cuh and launch_fma.cuh: bfloat16 is on tensor
// cores, float where the plan says TF32.
template <class Product>
void launch_on_tensor_cores(const char* name, gpu::StreamHandle stream, const Product& product,
                            const matrix::Plan& plan,
                            matrix::Accumulator<typename Product::In>* partials);
template <class Product>
void launch_on_ordinary_cores(const char* name, gpu::StreamHandle stream, const Product& product,
                              const matrix::Plan& plan,
                              matrix::Accumulator<typename Product::In>* partials);

template <class Product>
void launch_product(const char* name, gpu::StreamHandle stream, const Product& product,
                    const matrix::Plan& plan, matrix::Accumulator<typename Product::In>* partials) {
  if constexpr (Product::on_tensor_cores) {
    if (are_tensor_cores(plan.cores)) {
      launch_on_tensor_cores(name, stream, product, plan, partials);
      return;
    }
  }
  if constexpr (sizeof(typename Product::In) != 2) {
    launch_on_ordinary_cores(name, stream, product, plan, partials);
  }
}

}  // namespace warptape::on_cuda

namespace warptape::matrix {

// Launches one kernel of a core, of this many threads and bytes of dynamic shared memory.
template <class Variant, class Kernel, class Product>
void launch_variant(Kernel* kernel, int threads, size_t shared_bytes, const char* name,
                    gpu::StreamHandle stream, const Product& product, const Plan& plan,
                    void* partials) {
  DepthSplit split{.steps = plan.steps, .splits = plan.splits};
  if (plan.splits > 1) {
    split.sums_at_once = plan.sums_at_once;
    split.threads = plan.summing_threads;
    split.partials = partials;
    split.arrivals = gpu::arrival_counters(stream, arrivals_of(plan));
  }
  const typename Variant::Steps steps{Variant::PlacesA::steps(product.a),
                                      Variant::PlacesB::steps(product.b)};
  launch(kernel,
         {.grid = dim3(static_cast<unsigned>(plan.tiles), 1, static_cast<unsigned>(plan.splits)),
          .block = dim3(static_cast<unsigned>(threads)),
          .smem = shared_bytes,
          .stream = stream,
          .name = name},
         product.a, product.b, product.out, steps, split);
}

}  // namespace warptape::matrix

#define WARPTAPE_INSTANTIATE_PRODUCT(Product)                                  \
  template void launch_product(const char*, gpu::StreamHandle, const Product&, \
                               const matrix::Plan&, matrix::Accumulator<typename Product::In>*)
