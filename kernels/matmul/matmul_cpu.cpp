#include <vector>

#include "kernels/matmul/gemm.h"
#include "kernels/matmul/matmul_kernels.h"

namespace warptape {
namespace {

size_t count_matrices(const Tensor& x) {
  size_t count = 1;
  for (int d = 0; d < x.rank() - 2; ++d) {
    count *= static_cast<size_t>(x.shape()[d]);
  }
  return count;
}

template <class Body>
void for_each_batch(const MatmulProduct& product, const Body& body) {
  product.batches.for_each_run(
      0, product.batches.numel(), [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          body(at[0] + i * step[0], at[1] + i * step[1], at[2] + i * step[2]);
        }
      });
}

}  // namespace

void matmul_forward_cpu(const MatmulProduct& p, const Tensor& a, const Tensor& b, Tensor& y) {
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

void matmul_backward_a_cpu(const MatmulProduct& p, const Tensor& dy, const Tensor& b, Tensor& da) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pb = b.data<T>();
    T* to = da.mutable_data<T>();
    std::vector<bool> written(count_matrices(da), false);
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

void matmul_backward_b_cpu(const MatmulProduct& p, const Tensor& dy, const Tensor& a, Tensor& db) {
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pa = a.data<T>();
    T* to = db.mutable_data<T>();
    std::vector<bool> written(count_matrices(db), false);
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

}  // namespace warptape
