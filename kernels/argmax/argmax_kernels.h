#pragma once
#include "kernels/reduce/dims.h"

namespace warptape {

// y: int64, dims.kept as shape, row-major. index_strides: what one step in each dimension of x adds
// to the index that is returned.
void argmax_cpu(const Tensor& x, const ReductionDims& dims, const Strides& index_strides,
                Tensor& y);
// The index is the place along the one reduced dimension; where all are reduced, in the flattened
// tensor.
void argmax_cuda(const Tensor& x, const ReductionDims& dims, Tensor& y);

}  // namespace warptape
