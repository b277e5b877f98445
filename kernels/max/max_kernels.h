#pragma once
#include "core/tape.h"
#include "kernels/reduce/dims.h"

namespace warptape {

// y has dims.kept as shape and is row-major.
void max_forward_cpu(const Tensor& x, const ReductionDims& dims, Tensor& y);
void max_forward_cuda(const Tensor& x, const ReductionDims& dims, Tensor& y);

// dx = dy / (number of elements equal to y) where x equals y, else 0.
void max_backward_cpu(const Tensor& dy, const Tensor& x, const Tensor& y, const ReductionDims& dims,
                      GradientTarget dx);
void max_backward_cuda(const Tensor& dy, const Tensor& x, const Tensor& y,
                       const ReductionDims& dims, GradientTarget dx);

}  // namespace warptape
