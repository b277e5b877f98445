#include "kernels/matmul/matmul.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "kernels/matmul/matmul_kernels.h"
#include "kernels/pointwise/derivatives.h"

namespace warptape {
namespace {

Shape batch_shape(const Operand& x) {
  return Shape(std::span<const int64_t>(x.shape().begin(), static_cast<size_t>(x.rank() - 2)));
}

MatmulProduct make_product(const Operand& a, const Operand& b, const MatmulOptions& options,
                           Shape& output) {
  check_floating("matmul", a);
  check_same_kind("matmul", a, b);
  check<ShapeError>(a.rank() >= 2 && b.rank() >= 2, a.site(),
                    "[matmul] ranks: got shapes {} and {}, wanted 2 dimensions or more", a.shape(),
                    b.shape());
  MatmulProduct product;
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
  check_countable("matmul", "output", output, a.dtype(), a.site());
  return product;
}

// Of y = A B: dA = dy B^T and dB = A^T dy, each transposed where its operand was, and summed where
// that was broadcast.
void backward_as_ops(Backward& context, const MatmulOptions& options, const Tensor& rows_a,
                     const Tensor& rows_b) {
  const Tensor dy = context.grad();
  const Tensor a = context.input(0, rows_a);
  const Tensor b = context.input(1, rows_b);
  if (context.needs(0)) {
    const Tensor da = options.transpose_a
                          ? matmul(b, dy, {.transpose_a = options.transpose_b, .transpose_b = true})
                          : matmul(dy, b, {.transpose_b = !options.transpose_b});
    context.give(0, sum_to_shape(da, rows_a.shape()));
  }
  if (context.needs(1)) {
    const Tensor db = options.transpose_b
                          ? matmul(dy, a, {.transpose_a = true, .transpose_b = options.transpose_a})
                          : matmul(a, dy, {.transpose_a = !options.transpose_a});
    context.give(1, sum_to_shape(db, rows_b.shape()));
  }
}

}  // namespace

Tensor matmul(const Operand& a, const Operand& b, MatmulOptions options) {
  Shape shape;
  const MatmulProduct product = make_product(a, b, options, shape);
  const profile::Range range("matmul");
  const Tensor rows_a = primitives::relayout(a.tensor(), MemoryFormat::RowMajor);
  const Tensor rows_b = primitives::relayout(b.tensor(), MemoryFormat::RowMajor);
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  const int64_t flops = 2 * y.numel() * product.k;
  profile::note([&] { return profile::moved({&rows_a, &rows_b}, {&y}, flops); });
  on_device(
      "matmul", a.device(), [&] { matmul_forward_cpu(product, rows_a, rows_b, y); },
      [&] { matmul_forward_cuda(product, rows_a, rows_b, y); });
  if (Tape* tape = Tape::recording({&a, &b})) {
    tape->record(
        "matmul", {&a, &b}, {&y},
        [product, flops, saved_a = Saved(rows_a), saved_b = Saved(rows_b)](Backward& context) {
          if (context.creates_graph()) {
            backward_as_ops(context, product.options, saved_a.get(), saved_b.get());
            return;
          }
          const Tensor& dy = context.grad();
          // Row-major like the saved operands; give() brings it into the input's format.
          const auto run = [&](int input, const Tensor& like, const auto& kernel) {
            if (context.needs(input)) {
              Tensor gradient = Tensor::empty_like(like);
              const Tensor& other = input == 0 ? saved_b.get() : saved_a.get();
              profile::note([&] { return profile::moved({&dy, &other}, {&gradient}, flops); });
              if (product.batches.numel() > 0) {
                kernel(gradient);
              } else {
                primitives::fill(gradient, 0);  // no product reads the operand
              }
              context.give(input, std::move(gradient));
            }
          };
          run(0, saved_a.get(), [&](Tensor& da) {
            on_device(
                "matmul", dy.device(),
                [&] { matmul_backward_a_cpu(product, dy, saved_b.get(), da); },
                [&] { matmul_backward_a_cuda(product, dy, saved_b.get(), da); });
          });
          run(1, saved_b.get(), [&](Tensor& db) {
            on_device(
                "matmul", dy.device(),
                [&] { matmul_backward_b_cpu(product, dy, saved_a.get(), db); },
                [&] { matmul_backward_b_cuda(product, dy, saved_a.get(), db); });
          });
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
