#include "kernels/matmul/gemm_cuda.h"

#include <fmt/format.h>

#include "core/element_types.h"
#include "core/primitives_cuda.h"
#include "core/strided.h"
#include "kernels/matrix/matrix.h"
#include "kernels/matrix/run_product.h"
#include "kernels/sum/sum_kernels.h"

namespace warptape {
namespace {

using matrix::index_of;

// The views see matrices as images of one pixel per row: (m, 1, 1) by taps (1, 1, k).
template <class T>
matrix::ImageView<T, true> rows_by_depth(const char* name, const GemmProblem& p, const T* a) {
  matrix::ImageView<T, true> view;
  view.data = a;
  view.rows = {index_of(name, p.m), 1, 1};
  view.depth = matrix::radix_of(name, 1, 1, p.k);
  view.taps = matrix::TapGeometry::of_images(1, 1, index_of(name, p.k));
  view.group_stride = p.stride_a;
  return view;
}

template <class T, class Out>
matrix::Output<Out> output_of(const char* name, const GemmProblem& p,
                              const GemmEpilogue<T>& epilogue, Out* c) {
  matrix::Output<Out> out;
  out.data = c;
  out.rows = {1, 1, index_of(name, p.m)};
  out.row_stride = {0, 0, p.n};
  out.columns = index_of(name, p.n);
  out.groups = index_of(name, p.batches);
  out.group_stride = p.stride_c;
  out.bias = epilogue.bias;
  out.bias_group_stride = 0;
  out.relu = epilogue.relu;
  out.accumulate = epilogue.accumulate;
  return out;
}

// What op(a) b^T reads, with b stored (n, k).
template <class T, class Product>
void read_rows(const char* name, const GemmProblem& p, const T* a, const T* b, Product& product) {
  product.a = rows_by_depth(name, p, a);
  product.b = {.data = b,
               .rows = {index_of(name, p.n)},
               .depth = {index_of(name, p.k)},
               .row_stride = p.k,
               .depth_stride = 1,
               .group_stride = p.stride_b};
}
template <class T, class Product>
void read_columns(const char* name, const GemmProblem& p, const T* a, const T* b,
                  Product& product) {
  product.a = rows_by_depth(name, p, a);
  product.b.data = b;
  product.b.rows = {index_of(name, p.n)};
  product.b.depth = matrix::radix_of(name, 1, 1, p.k);
  product.b.channel_stride = index_of(name, p.n);
  product.b.group_stride = p.stride_b;
  matrix::check_elements(name, "a matrix", p.k * p.n);
}

template <class T>
void multiply_rows(const char* name, const GemmProblem& p, const T* a, const T* b,
                   const matrix::Output<T>& out) {
  matrix::Forward<T, T> product;
  read_rows(name, p, a, b, product);
  product.out = out;
  matrix::run_product(name, product);
}

template <class T>
void multiply_columns(const char* name, const GemmProblem& p, const T* a, const T* b,
                      const matrix::Output<T>& out) {
  matrix::DataGrad<T, T> product;
  read_columns(name, p, a, b, product);
  product.out = out;
  matrix::run_product(name, product);
}

void place_pass(const char* name, const GemmProblem& p, matrix::PassPlace& place) {
  place.rows = {1, 1, index_of(name, p.m)};
  place.row_stride = {0, 0, p.n};
  place.columns = index_of(name, p.n);
}

// With ReLU, whose marks are written.
template <class T>
void multiply_marking(const char* name, const GemmProblem& p, const T* a, const T* b,
                      const GemmEpilogue<T>& epilogue, T* c) {
  matrix::ForwardPass<T> product;
  read_rows(name, p, a, b, product);
  place_pass(name, p, product.out);
  product.out.data = c;
  product.out.bias = epilogue.bias;
  product.out.relu = true;
  product.out.marks = epilogue.marks_out;
  product.out.choose_packs();
  matrix::run_product(name, product);
}
template <class T>
void multiply_marked(const char* name, const GemmProblem& p, const T* a, const T* b,
                     const uint8_t* marks, T* c) {
  matrix::DataGradPass<T> product;
  read_columns(name, p, a, b, product);
  place_pass(name, p, product.out);
  product.out.inner = c;
  product.out.marks = marks;
  product.out.choose_packs();
  matrix::run_product(name, product);
}

// Where row_sums are given, also the sums of a over k: there is one batch then. Returns whether
// they were made.
template <class T, class Out>
bool multiply_transposed(const char* name, const GemmProblem& p, const T* a, const T* b,
                         const matrix::Output<Out>& out, Compute<T>* row_sums) {
  matrix::WeightGrad<T, Out> product;
  product.a = {.data = a,
               .rows = {index_of(name, p.m)},
               .depth = {index_of(name, p.k)},
               .row_stride = 1,
               .depth_stride = p.m,
               .group_stride = p.stride_a};
  product.b.data = b;
  product.b.rows = matrix::radix_of(name, 1, 1, p.n);
  product.b.depth = {index_of(name, p.k), 1, 1};
  product.b.taps = matrix::TapGeometry::of_images(1, 1, index_of(name, p.n));
  product.b.group_stride = p.stride_b;
  product.out = out;
  if constexpr (product.has_row_sums) {
    product.out.row_sums = row_sums;
  }
  return matrix::run_product(name, product);
}

// a (batches, k, m) with the last two dimensions exchanged; p then has it row by row.
template <class T>
Tensor transposed(GemmProblem& p, const T* a) {
  const bool one_for_all = p.stride_a == 0;
  const Shape shape{one_for_all ? 1 : p.batches, p.m, p.k};
  Tensor result = Tensor::empty(shape, dtype_of<T>(), cuda);
  const auto loop = make_strided_loop<2>(shape, MemoryFormat::RowMajor,
                                         {result.strides(), Strides{p.stride_a, 1, p.m}});
  primitives::on_cuda::copy(gpu::current_stream(), loop, result.mutable_data<T>(), a);
  p.transpose_a = false;
  p.stride_a = one_for_all ? 0 : p.m * p.k;
  return result;
}

}  // namespace

template <class T, class Out>
void gemm_cuda(const char* name, const GemmProblem& problem, const T* a, const T* b,
               const GemmEpilogue<T>& epilogue, Out* c) {
  if constexpr (std::is_same_v<T, Out> && !std::is_same_v<T, double>) {
    if (epilogue.marks_out != nullptr) {
      multiply_marking(name, problem, a, b, epilogue, c);
      return;
    }
    if (epilogue.marks != nullptr) {
      multiply_marked(name, problem, a, b, epilogue.marks, c);
      return;
    }
  }
  const matrix::Output<Out> out = output_of(name, problem, epilogue, c);
  if (problem.transpose_a && !problem.transpose_b) {
    if (multiply_transposed(name, problem, a, b, out, epilogue.bias_grad)) {
      return;
    }
  } else if constexpr (!std::is_same_v<T, Out>) {
    throw DTypeError(fmt::format("[{}] results in another type: only of a transposed", name));
  } else if (!problem.transpose_a) {
    const auto multiply = problem.transpose_b ? multiply_rows<T> : multiply_columns<T>;
    multiply(name, problem, a, b, out);
  } else {
    GemmProblem straight = problem;
    const Tensor rows = transposed(straight, a);
    multiply_rows(name, straight, rows.data<T>(), b, out);
  }
  if (epilogue.bias_grad != nullptr) {
    const bool columns = problem.transpose_a;
    sum_matrix_cuda(name, a, columns ? problem.k : problem.m, columns ? problem.m : problem.k,
                    columns, epilogue.bias_grad);
  }
}

template <class T>
bool gemm_masks(const GemmProblem& forward, const T* a, const T* b, const GemmProblem& masked,
                const T* masked_a, const T* masked_b) {
  if constexpr (std::is_same_v<T, double>) {
    return false;
  } else {
    constexpr const char* name = "gemm";
    const auto is_free = [](const GemmProblem& p, auto& product) {
      product.out.rows = {1, 1, index_of(name, p.m)};
      product.out.columns = index_of(name, p.n);
      const matrix::ProductSize as_pass{p.m, p.n, p.k, 1, true};
      const matrix::Plan plan = matrix::plan_product(product, tf32_is_on());
      return matrix::make_plan(as_pass, plan.cores, plan.pack) == plan;
    };
    if (library_may_serve(product_of<T>(masked)) || forward.m * forward.n * masked.k == 0) {
      return false;
    }
    matrix::Forward<T, T> first;
    read_rows(name, forward, a, b, first);
    matrix::DataGrad<T, T> second;
    read_columns(name, masked, masked_a, masked_b, second);
    return is_free(forward, first) && is_free(masked, second);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void gemm_cuda(const char*, const GemmProblem&, const T*, const T*,                   \
                          const GemmEpilogue<T>&, T*);                                           \
  template bool gemm_masks(const GemmProblem&, const T*, const T*, const GemmProblem&, const T*, \
                           const T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE
template void gemm_cuda(const char*, const GemmProblem&, const simt::bfloat16*,
                        const simt::bfloat16*, const GemmEpilogue<simt::bfloat16>&, float*);

}  // namespace warptape
