#include "kernels/matmul/matmul.h"

#include "core/check.h"
#include "core/strided.h"
#include "kernels/cases/measured.h"

namespace warptape {
namespace {

Tensor reference(const Tensor& a, const Tensor& b, MatmulOptions options) {
  const Plain pa(a);
  const Plain pb(b);
  const int64_t m = a.size(options.transpose_a ? -1 : -2);
  const int64_t k = a.size(options.transpose_a ? -2 : -1);
  const int64_t n = b.size(options.transpose_b ? -2 : -1);
  const auto batch = [](const Tensor& x) {
    return Shape(std::vector<int64_t>(x.shape().begin(), x.shape().end() - 2));
  };
  Shape shape = broadcast_shapes(batch(a), batch(b), "reference", {});
  const auto loop =
      make_strided_loop<3>(shape, MemoryFormat::RowMajor,
                           {strides_of(shape, MemoryFormat::RowMajor),
                            broadcast_strides(batch(a), MemoryFormat::RowMajor, shape),
                            broadcast_strides(batch(b), MemoryFormat::RowMajor, shape)});
  shape.append(m);
  shape.append(n);
  Plain y(shape);
  loop.for_each_run(0, loop.numel(), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t q = 0; q < count; ++q) {
      const int64_t iy = (at[0] + q * step[0]) * m * n;
      const int64_t ia = (at[1] + q * step[1]) * m * k;
      const int64_t ib = (at[2] + q * step[2]) * k * n;
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          for (int64_t p = 0; p < k; ++p) {
            y[iy + i * n + j] += pa[ia + (options.transpose_a ? p * m + i : i * k + p)] *
                                 pb[ib + (options.transpose_b ? j * k + p : p * n + j)];
          }
        }
      }
    }
  });
  return y.tensor();
}

// A product of (m, k) and (k, n), of which the shape is (m, n, k); its bytes are counted once,
// which tiles cannot reach.
PreparedKernels measured(const Shape& shape, DType dtype) {
  check<ValueError>(shape.rank() == 3, "[kernel] matmul: got shape {}, wanted (m, n, k)", shape);
  const Shape a{shape[0], shape[2]};
  const Shape b{shape[2], shape[1]};
  const Shape c{shape[0], shape[1]};
  // Forward a, b, c; backward dc and b, da, then dc and a, db.
  const int64_t bytes = 3 * (bytes_of(a, dtype) + bytes_of(b, dtype) + bytes_of(c, dtype));
  return forward_and_backward(
      {on_cuda(a, dtype), on_cuda(b, dtype)}, on_cuda(c, dtype),
      [](const std::vector<Tensor>& in) { return matmul(in[0], in[1]); }, bytes, bytes);
}

}  // namespace

void matmul_cases(CaseTable& table) {
  const auto add = [&](const char* name, const Shape& a, const Shape& b, MatmulOptions options = {},
                       MemoryFormat format_a = MemoryFormat::RowMajor) {
    table.cases.push_back(
        {.name = name,
         .inputs = {{.shape = a, .format = format_a}, {.shape = b}},
         .run = [options](const std::vector<Operand>& in) { return matmul(in[0], in[1], options); },
         .reference =
             [options](const std::vector<Tensor>& in) { return reference(in[0], in[1], options); },
         .tolerance = Tolerance::Reduction});
  };
  add("one", {1, 1}, {1, 1});
  add("odd", {31, 33}, {33, 7});
  add("transpose_a", {33, 31}, {33, 7}, {.transpose_a = true});
  add("transpose_b", {31, 33}, {7, 33}, {.transpose_b = true});
  add("transpose_both", {33, 31}, {7, 33}, {.transpose_a = true, .transpose_b = true});
  add("long_inner", {3, 1025}, {1025, 2});
  add("packs", {12, 32}, {32, 20});
  add("packs_transposed", {32, 12}, {20, 32}, {.transpose_a = true, .transpose_b = true});
  add("batch_packs", {2, 3, 8}, {2, 8, 4});
  add("empty_inner", {3, 0}, {0, 2});
  add("empty_batch", {1, 3, 4}, {0, 4, 5});
  add("empty_batch_transposed", {0, 4, 3}, {5, 4}, {.transpose_a = true, .transpose_b = true});
  add("batch", {2, 3, 4}, {2, 4, 5});
  add("batch_shared_a", {3, 4}, {2, 4, 5});
  add("batch_shared_b", {2, 3, 3, 4}, {4, 5}, {});
  add("shared_a_transposed", {4, 3}, {2, 4, 5}, {.transpose_a = true});
  add("shared_a_both_transposed", {4, 3}, {2, 5, 4}, {.transpose_a = true, .transpose_b = true});
  add("shared_b_both_transposed", {2, 4, 3}, {5, 4}, {.transpose_a = true, .transpose_b = true});
  add("batch_both_transposed", {2, 4, 3}, {2, 5, 4}, {.transpose_a = true, .transpose_b = true});
  add("batch_broadcast", {2, 1, 4, 3}, {3, 4, 5}, {.transpose_a = true});
  add("channels_last", {2, 3, 4}, {4, 5}, {}, MemoryFormat::ChannelsLast);
  table.errors.push_back({"inner",
                          [] {
                            matmul(Tensor::zeros({2, 3}), Tensor::zeros({4, 5}));
                          },
                          {"[matmul]", "got 3 and 4", "(2, 3)", "(4, 5)", "matmul_cases.cpp"}});
  table.errors.push_back({"rank",
                          [] {
                            matmul(Tensor::zeros({3}), Tensor::zeros({3, 5}));
                          },
                          {"[matmul]", "(3,)", "2 dimensions"}});
  table.errors.push_back({"batch",
                          [] {
                            matmul(Tensor::zeros({2, 3, 4}), Tensor::zeros({3, 4, 5}));
                          },
                          {"[matmul]", "broadcast"}});
  table.measured.push_back({.name = "matmul",
                            .runs = "of (m, n, k), forward and backward",
                            .shape = {256, 256, 512},
                            .prepare = measured,
                            .is_product = true});
}

}  // namespace warptape
