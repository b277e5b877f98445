#pragma once
// x, dx and the indices are channels-last. y and dy are so, or row-major.

#include "core/tape.h"
#include "kernels/max_pool2d/max_pool2d.h"
#include "kernels/pool/pool_geometry.h"

namespace warptape {

// Where the largest element of each window was, counted in row-major order within the window; the
// number of its elements stands for "nowhere" (a window of the fused op that ReLU set to zero).
// uint8 where that fits, else int64.
DType pool_index_dtype(const PoolGeometry& geometry);

// with_relu: y = max(largest, 0). An undefined `indices` is not wanted.
void max_pool2d_forward_cpu(const Tensor& x, const PoolGeometry& geometry, bool with_relu,
                            Tensor& y, Tensor& indices);
void max_pool2d_forward_cuda(const Tensor& x, const PoolGeometry& geometry, bool with_relu,
                             Tensor& y, Tensor& indices);
// Overwrites all of dx.
void max_pool2d_backward_cpu(const Tensor& dy, const Tensor& indices, const PoolGeometry& geometry,
                             Tensor& dx);
void max_pool2d_backward_cuda(const Tensor& dy, const Tensor& indices, const PoolGeometry& geometry,
                              Tensor& dx);
// The same, and in the same pass the sums of dx over all but channels, in float64 and then rounded
// to float32, which sums is of. False, and nothing done, where windows are not adjacent, channels
// are no packs or more than 1024 of them, or the dtype is float64.
bool max_pool2d_backward_summed_cuda(const Tensor& dy, const Tensor& indices,
                                     const PoolGeometry& geometry, Tensor& dx, Tensor& sums);

}  // namespace warptape
