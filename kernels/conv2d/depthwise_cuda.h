#pragma once
// Tensors as in conv2d_kernels.h.

#include "kernels/conv2d/conv2d_kernels.h"

namespace warptape {

bool is_depthwise(const ConvGeometry& geometry);

void depthwise_forward_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const ConvGeometry& geometry, Tensor& y);
void depthwise_data_grad_cuda(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                              const ConvGeometry& geometry, Tensor& dx);
void depthwise_weight_grad_cuda(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                                Tensor& dweight);

}  // namespace warptape
