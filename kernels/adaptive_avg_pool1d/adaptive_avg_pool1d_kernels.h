#pragma once
// x (N, C, L), y (N, C, L') and their gradients are channels-last; y and dx are overwritten.

#include "core/tensor.h"
#include "kernels/pool/adaptive_windows.h"

namespace warptape {

void adaptive_avg_pool1d_forward_cpu(const Tensor& x, const AdaptiveWindows& windows, Tensor& y);
void adaptive_avg_pool1d_forward_cuda(const Tensor& x, const AdaptiveWindows& windows, Tensor& y);
void adaptive_avg_pool1d_backward_cpu(const Tensor& dy, const AdaptiveWindows& windows, Tensor& dx);
void adaptive_avg_pool1d_backward_cuda(const Tensor& dy, const AdaptiveWindows& windows,
                                       Tensor& dx);

}  // namespace warptape
