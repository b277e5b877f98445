#pragma once
// The matrix core: one product with three ways of lying in memory, which serve GEMM and
// convolutions, forward and both gradients.

#include <type_traits>

#include "core/device/gpu.h"
#include "kernels/matrix/output.h"
#include "kernels/matrix/pass_output.h"
#include "kernels/matrix/plan.h"
#include "kernels/matrix/views.h"

namespace warptape::matrix {

// What sums are made in.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, double>, double, float>;

// out = a b^T. Where packs lie: along the depth, or along the rows.
template <class T, class Out, class ViewA, bool a_depth, class ViewB, bool b_depth>
struct Product {
  static constexpr bool on_tensor_cores = sizeof(T) <= 4;  // floats only if they may be rounded
  using In = T;
  using A = ViewA;
  using B = ViewB;
  static constexpr bool a_along_depth = a_depth;
  static constexpr bool b_along_depth = b_depth;
  // Output::row_sums, which the kernels of tensor cores do not have.
  static constexpr bool has_row_sums = !a_depth && !b_depth && sizeof(T) != 2;
  static constexpr bool pools = false;
  static constexpr bool is_pass = false;
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

// A forward product whose rows are pooled before they leave the chip. T: float or bfloat16.
template <class T>
struct PooledForward {
  static constexpr bool on_tensor_cores = true;
  using In = T;
  using A = ImageView<T, true, WindowedRadix>;
  using B = MatrixView<T>;
  static constexpr bool a_along_depth = true;
  static constexpr bool b_along_depth = true;
  static constexpr bool has_row_sums = false;
  static constexpr bool pools = true;
  static constexpr bool is_pass = false;
  A a;
  B b;
  PooledOutput<T> out;
};

// Products whose results go through other ops before they leave the chip.
template <class T, class ViewB, bool b_depth, class Out>
struct Pass {
  static constexpr bool on_tensor_cores = true;
  using In = T;
  using A = ImageView<T, true>;
  using B = ViewB;
  static constexpr bool a_along_depth = true;
  static constexpr bool b_along_depth = b_depth;
  static constexpr bool has_row_sums = false;
  static constexpr bool pools = false;
  static constexpr bool is_pass = true;
  A a;
  B b;
  Out out;
};
template <class T>
struct ForwardPass : Pass<T, MatrixView<T>, true, PassOutput<T>> {};
template <class T>
struct DataGradPass : Pass<T, FilterView<T>, false, MaskedOutput<T>> {};

// Accumulators for what a plan's blocks leave to each other.
template <class Product>
int64_t partial_sums(const Plan& plan) {
  if (plan.splits == 1) {
    return 0;
  }
  const bool has_row_sums = Product::has_row_sums && !are_tensor_cores(plan.cores);
  const int rows_with_sums = has_row_sums ? plan.tile.rows : 0;
  return plan.blocks *
         (sums_of_thread(plan.tile, plan.cores) * plan.summing_threads +
          partial_row_sums(rows_with_sums, sizeof(Accumulator<typename Product::In>)));
}

}  // namespace warptape::matrix

namespace warptape::on_cuda {

// partials: partial_sums() of the plan. A plan of a product that pools has no splits.
template <class Product>
void launch_product(const char* name, gpu::StreamHandle stream, const Product& product,
                    const matrix::Plan& plan, matrix::Accumulator<typename Product::In>* partials);

}  // namespace warptape::on_cuda
