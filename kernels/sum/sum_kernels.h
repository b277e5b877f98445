#pragma once
#include "core/tape.h"
#include "kernels/reduce/dims.h"

namespace warptape {

// y = scale * sum of x; y has dims.kept as shape and is row-major. name: of the op, for launches.
void sum_forward_cpu(const Tensor& x, const ReductionDims& dims, double scale, Tensor& y);
void sum_forward_cuda(const char* name, const Tensor& x, const ReductionDims& dims, double scale,
                      Tensor& y);

// dx = scale * dy, repeated over the reduced dimensions; dy has dims.kept as shape.
void sum_backward_cpu(const Tensor& dy, const ReductionDims& dims, double scale, GradientTarget dx);
void sum_backward_cuda(const char* name, const Tensor& dy, const ReductionDims& dims, double scale,
                       GradientTarget dx);

// Sum and mean are one op with two scales.
Tensor scaled_sum(const char* name, const Operand& x, const ReductionDims& dims, double scale);

// Of a row-major matrix on "cuda": the sums over its rows (one per column), or along each row.
template <class T>
void sum_matrix_cuda(const char* name, const T* x, int64_t rows, int64_t columns, bool over_rows,
                     Compute<T>* sums);

}  // namespace warptape
