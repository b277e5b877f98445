#include "kernels/matmul/matmul.h"

#include "core/primitives.h"
#include "core/profile.h"
#include "core/strided.h"
#include "core/tape.h"
#include "kernels/matmul/gemm.h"

namespace warptape {
namespace {

// The sizes of one product and where the matrices of each batch index start.
struct Product {
  int64_t m;
  int64_t n;
  int64_t k;
  MatmulOptions options;
  StridedLoop<3> batches;  // counted in matrices of y, a and b
};

Shape batch_shape(const Operand& x) {
  return Shape(std::span<const int64_t>(x.shape().begin(), static_cast<size_t>(x.rank() - 2)));
}

Product make_product(const Operand& a, const Operand& b, const MatmulOptions& options,
                     Shape& output) {
  check_floating("matmul", a);
  check_same_kind("matmul", a, b);
  check<ShapeError>(a.rank() >= 2 && b.rank() >= 2, a.site(),
                    "[matmul] ranks: got shapes {} and {}, wanted 2 dimensions or more", a.shape(),
                    b.shape());
  Product product;
  product.options = options;
  product.m = a.size(options.transpose_a ? -1 : -2);
  product.k = a.size(options.transpose_a ? -2 : -1);
  product.n = b.size(options.transpose_b ? -2 : -1);
  const int64_t k_of_b = b.size(options.transpose_b ? -1 : -2);
  check<ShapeError>(
      product.k == k_of_b, a.site(),
      "[matmul] inner sizes: got {} and {} for shapes {}{} and {}{}, wanted equal ones", product.k,
      k_of_b, a.shape(), options.transpose_a ? " transposed" : "", b.shape(),
      options.transpose_b ? " transposed" : "");
  const Shape batch_a = batch_shape(a);
  const Shape batch_b = batch_shape(b);
  output = broadcast_shapes(batch_a, batch_b, "matmul", a.site());
  constexpr MemoryFormat row_major = MemoryFormat::RowMajor;
  product.batches = make_strided_loop<3>(
      output, row_major,
      {strides_of(output, row_major), broadcast_strides(batch_a, row_major, output),
       broadcast_strides(batch_b, row_major, output)});
  output.append(product.m);
  output.append(product.n);
  return product;
}

size_t count_matrices(const Tensor& x) {
  size_t count = 1;
  for (int d = 0; d < x.rank() - 2; ++d) {
    count *= static_cast<size_t>(x.shape()[d]);
  }
  return count;
}

template <class Body>
void for_each_batch(const Product& product, const Body& body) {
  product.batches.for_each_run(
      0, product.batches.numel(), [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          body(at[0] + i * step[0], at[1] + i * step[1], at[2] + i * step[2]);
        }
      });
}

void forward_cpu(const Product& p, const Tensor& a, const Tensor& b, Tensor& y) {
  dispatch_floating(y.dtype(), [&]<class T>() {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* py = y.mutable_data<T>();
    for_each_batch(p, [&](int64_t iy, int64_t ia, int64_t ib) {
      gemm(p.options.transpose_a, p.options.transpose_b, p.m, p.n, p.k, pa + ia * p.m * p.k,
           pb + ib * p.k * p.n, false, py + iy * p.m * p.n);
    });
  });
}

// y = op(a) op(b):  d op(a) = dy op(b)^T,  d op(b) = op(a)^T dy; a transposed operand takes the
// transpose.
void backward_a_cpu(const Product& p, const Tensor& dy, const Tensor& b, GradientTarget da) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pb = b.data<T>();
    T* to = da.buffer.mutable_data<T>();
    std::vector<bool> written(count_matrices(da.buffer), da.mode == WriteMode::Accumulate);
    for_each_batch(p, [&](int64_t iy, int64_t ia, int64_t ib) {
      const bool accumulate = written[static_cast<size_t>(ia)];
      written[static_cast<size_t>(ia)] = true;
      const T* matrix_b = pb + ib * p.k * p.n;
      const T* matrix_dy = pdy + iy * p.m * p.n;
      T* target = to + ia * p.m * p.k;
      if (p.options.transpose_a) {
        gemm(p.options.transpose_b, true, p.k, p.m, p.n, matrix_b, matrix_dy, accumulate, target);
      } else {
        gemm(false, !p.options.transpose_b, p.m, p.k, p.n, matrix_dy, matrix_b, accumulate, target);
      }
    });
  });
}

void backward_b_cpu(const Product& p, const Tensor& dy, const Tensor& a, GradientTarget db) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pa = a.data<T>();
    T* to = db.buffer.mutable_data<T>();
    std::vector<bool> written(count_matrices(db.buffer), db.mode == WriteMode::Accumulate);
    for_each_batch(p, [&](int64_t iy, int64_t ia, int64_t ib) {
      const bool accumulate = written[static_cast<size_t>(ib)];
      written[static_cast<size_t>(ib)] = true;
      const T* matrix_a = pa + ia * p.m * p.k;
      const T* matrix_dy = pdy + iy * p.m * p.n;
      T* target = to + ib * p.k * p.n;
      if (p.options.transpose_b) {
        gemm(true, p.options.transpose_a, p.n, p.k, p.m, matrix_dy, matrix_a, accumulate, target);
      } else {
        gemm(!p.options.transpose_a, false, p.k, p.n, p.m, matrix_a, matrix_dy, accumulate, target);
      }
    });
  });
}

}  // namespace

Tensor matmul(const Operand& a, const Operand& b, MatmulOptions options) {
  Shape shape;
  const Product product = make_product(a, b, options, shape);
  const profile::Range range("matmul");
  const Tensor rows_a = primitives::relayout(a.tensor(), MemoryFormat::RowMajor);
  const Tensor rows_b = primitives::relayout(b.tensor(), MemoryFormat::RowMajor);
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  on_device("matmul", a.device(), [&] { forward_cpu(product, rows_a, rows_b, y); });
  if (Tape* tape = Tape::recording({&a, &b})) {
    tape->record("matmul", {&a, &b}, {&y},
                 [product, saved_a = Saved(rows_a), saved_b = Saved(rows_b)](Backward& context) {
                   const Tensor& dy = context.grad();
                   // Row-major like the saved operands; give() brings it into the input's format.
                   const auto run = [&](int input, const Tensor& like, const auto& kernel) {
                     if (context.needs(input)) {
                       Tensor gradient = Tensor::empty_like(like);
                       kernel({gradient, WriteMode::Overwrite});
                       context.give(input, std::move(gradient));
                     }
                   };
                   on_device("matmul", dy.device(), [&] {
                     run(0, saved_a.get(), [&](GradientTarget to) {
                       backward_a_cpu(product, dy, saved_b.get(), to);
                     });
                     run(1, saved_b.get(), [&](GradientTarget to) {
                       backward_b_cpu(product, dy, saved_a.get(), to);
                     });
                   });
                 });
  }
  return y;
}

}  // namespace warptape
