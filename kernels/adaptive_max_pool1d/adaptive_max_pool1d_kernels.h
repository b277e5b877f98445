#pragma once
// x (N, C, L), y (N, C, L'), their gradients and the indices are channels-last; y, the indices and
// dx are overwritten. The indices, int64, say which element of its line was the largest.

#include "core/tensor.h"
#include "kernels/pool/adaptive_windows.h"

namespace warptape {

void adaptive_max_pool1d_forward_cpu(const Tensor& x, const AdaptiveWindows& windows, Tensor& y,
                                     Tensor& indices);
void adaptive_max_pool1d_forward_cuda(const Tensor& x, const AdaptiveWindows& windows, Tensor& y,
                                      Tensor& indices);
void adaptive_max_pool1d_backward_cpu(const Tensor& dy, const Tensor& indices,
                                      const AdaptiveWindows& windows, Tensor& dx);
void adaptive_max_pool1d_backward_cuda(const Tensor& dy, const Tensor& indices,
                                       const AdaptiveWindows& windows, Tensor& dx);

}  // namespace warptape
