#pragma once
// All operands are row-major; outputs are overwritten.

#include "core/strided.h"
#include "core/tensor.h"
#include "kernels/matmul/matmul.h"

namespace warptape {

// The sizes of one product and where the matrices of each batch index start.
struct MatmulProduct {
  int64_t m;
  int64_t n;
  int64_t k;
  MatmulOptions options;
  StridedLoop<3> batches;  // counted in matrices of y, a and b
};

void matmul_forward_cpu(const MatmulProduct& product, const Tensor& a, const Tensor& b, Tensor& y);
void matmul_forward_cuda(const MatmulProduct& product, const Tensor& a, const Tensor& b, Tensor& y);

// y = op(a) op(b):  d op(a) = dy op(b)^T,  d op(b) = op(a)^T dy; a transposed operand takes the
// transpose. Batches that share a matrix add to its gradient.
void matmul_backward_a_cpu(const MatmulProduct& product, const Tensor& dy, const Tensor& b,
                           Tensor& da);
void matmul_backward_b_cpu(const MatmulProduct& product, const Tensor& dy, const Tensor& a,
                           Tensor& db);
void matmul_backward_a_cuda(const MatmulProduct& product, const Tensor& dy, const Tensor& b,
                            Tensor& da);
void matmul_backward_b_cuda(const MatmulProduct& product, const Tensor& dy, const Tensor& a,
                            Tensor& db);

}  // namespace warptape
