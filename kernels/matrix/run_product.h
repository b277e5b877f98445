#pragma once
// Running a product of the matrix core on the current stream, and the sizes that it takes.

#include "core/tensor.h"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/plan_listener.h"
#include "kernels/vendor/gpu_libraries.h"

namespace warptape::matrix {

// Indices of the core are ints, with room for a tile beyond the end.
int index_of(const char* op, int64_t size);

// The steps through an empty depth never leave its first place.
inline Radix radix_of(const char* op, int64_t outer, int64_t middle, int64_t inner) {
  const int64_t size = outer * middle * inner;
  if (size == 0) {
    return {0, 1, 1};
  }
  index_of(op, size);
  return {static_cast<int>(outer), static_cast<int>(middle), static_cast<int>(inner)};
}

// Views of filters and images count elements in 32 bits: ValueError for more. `what` is "a matrix".
void check_elements(const char* op, const char* what, int64_t elements);

// tell_plan() of a product, with its size.
template <class Product>
bool tell_product(const char* name, const Product& product, const Plan& plan) {
  PlanListener* const listener = PlanListener::current();
  if (listener != nullptr) {
    listener->hear_product({product.out.rows.size(), product.out.columns, product.a.depth.size(),
                            product.out.groups, Product::is_pass},
                           plan);
  }
  return tell_plan(name, [&] { return to_string(plan); });
}

// Floats are rounded to TF32 where that is asked for and packs can be loaded. Whether the sums of
// rows were made, if they were asked for.
template <class Product>
bool run_product(const char* name, const Product& product) {
  const int64_t results = product.out.results();
  if (results == 0) {
    return false;
  }
  using Sum = Accumulator<typename Product::In>;
  const Plan plan = plan_product(product, tf32_is_on());
  const bool makes_row_sums = product.out.has_row_sums() && !are_tensor_cores(plan.cores);
  if (tell_product(name, product, plan)) {
    return makes_row_sums;
  }
  // Bytes begin at 16 of them, wherever other tensors begin.
  const int64_t bytes = partial_sums<Product>(plan) * static_cast<int64_t>(sizeof(Sum));
  Tensor partials = Tensor::empty({bytes}, uint8, cuda);
  on_cuda::launch_product(name, gpu::current_stream(), product, plan,
                          reinterpret_cast<Sum*>(partials.mutable_data<uint8_t>()));
  return makes_row_sums;
}

}  // namespace warptape::matrix
