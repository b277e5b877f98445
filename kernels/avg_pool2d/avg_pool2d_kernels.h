#pragma once
// x, y, dx, dy are channels-last; y and dx are overwritten.

#include "core/tape.h"
#include "kernels/pool/pool_geometry.h"

namespace warptape {

void avg_pool2d_forward_cpu(const Tensor& x, const PoolGeometry& geometry, bool count_include_pad,
                            Tensor& y);
void avg_pool2d_forward_cuda(const Tensor& x, const PoolGeometry& geometry, bool count_include_pad,
                             Tensor& y);
void avg_pool2d_backward_cpu(const Tensor& dy, const PoolGeometry& geometry, bool count_include_pad,
                             Tensor& dx);
void avg_pool2d_backward_cuda(const Tensor& dy, const PoolGeometry& geometry,
                              bool count_include_pad, Tensor& dx);

}  // namespace warptape
