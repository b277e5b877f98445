#pragma once
// x, y, dx, dy are channels-last; weight and dweight (O, C / groups, kH, kW) row-major on the CPU
// and channels-last on "cuda". All outputs are overwritten. bias, dweight and dbias are of
// compute_dtype: float32 beside bfloat16. Geometries are planar.

#include "core/tensor.h"
#include "kernels/geometry/conv_geometry.h"
#include "kernels/pool/pool_windows.h"

namespace warptape {

void conv2d_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvGeometry& geometry, Tensor& y);
// Plus bias, one per channel of dx, if that is defined: the result of a transposed convolution.
void conv2d_data_grad_cpu(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                          const ConvGeometry& geometry, Tensor& dx);
void conv2d_weight_grad_cpu(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                            Tensor& dweight);
// The sum of dy over everything but channels.
void conv2d_bias_grad_cpu(const Tensor& dy, Tensor& dbias);

// float32, and bfloat16 where onednn_takes it, on oneDNN; false, and nothing done, if it has no
// fast implementation for these sizes.
bool conv2d_forward_onednn(const Tensor& x, const Tensor& weight, const Tensor& bias,
                           const ConvGeometry& geometry, Tensor& y);
bool conv2d_data_grad_onednn(const Tensor& dy, const Tensor& weight, const ConvGeometry& geometry,
                             Tensor& dx);
bool conv2d_weight_grad_onednn(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                               Tensor& dweight);

void conv2d_forward_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                         const ConvGeometry& geometry, Tensor& y);
// The largest of each of pool's windows of what conv2d_forward_cuda makes, or of its ReLU, and
// where it was (as max_pool2d_forward_cuda), in one pass that keeps the convolution's result on the
// chip. False, and nothing done, where another kernel has to make that: windows other than 2 x 2,
// float64, a library that is chosen, a depth that is split.
bool conv2d_pooled_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvGeometry& geometry, const PoolGeometry& pool, bool with_relu,
                        Tensor& y, Tensor& indices);
// As conv2d_data_grad_cpu. With a bias no library serves.
void conv2d_data_grad_cuda(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                           const ConvGeometry& geometry, Tensor& dx);
// By our matrix core, not depthwise: written to dx or added to what is there.
void conv2d_own_data_grad_cuda(const Tensor& dy, const Tensor& weight, const ConvGeometry& geometry,
                               bool accumulate, Tensor& dx);
// Either may be null. Together they read dy once, where our matrix core serves.
void conv2d_parameter_grads_cuda(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                                 Tensor* dweight, Tensor* dbias);

// Whether the gradient of a bias is a pass of its own over dy: that of the weight does not make it.
bool conv2d_sums_bias_grad_alone_cuda(DType dtype, const ConvGeometry& geometry);
// The sum of dy over everything but channels.
void conv2d_bias_grad_cuda(const char* op, const Tensor& dy, Tensor& dbias);

// float32 on cuDNN, with weight and dweight channels-last as well: in memory (O, kH, kW, C /
// groups). False, and nothing done, where it is absent, has no plan for these sizes within
// its limit of workspace, or needs what a graph capture does not allow. bias may be undefined.
bool conv2d_forward_cudnn(const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const ConvGeometry& geometry, Tensor& y);
bool conv2d_data_grad_cudnn(const Tensor& dy, const Tensor& weight, const ConvGeometry& geometry,
                            Tensor& dx);
bool conv2d_weight_grad_cudnn(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                              Tensor& dweight);

}  // namespace warptape
