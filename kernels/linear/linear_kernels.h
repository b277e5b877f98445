#pragma once
#include "core/tape.h"

namespace warptape {

// x, y, dx, dy are row-major with the features last: (rows, features). bias may be undefined. It,
// dweight and dbias are of compute_dtype: float32 beside bfloat16.
void linear_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void linear_data_grad_cpu(const Tensor& dy, const Tensor& weight, Tensor& dx);
void linear_weight_grad_cpu(const Tensor& dy, const Tensor& x, GradientTarget dweight);
void linear_bias_grad_cpu(const Tensor& dy, GradientTarget dbias);

// `name` is the op, for launches and errors.
void linear_forward_cuda(const char* name, const Tensor& x, const Tensor& weight,
                         const Tensor& bias, bool with_relu, Tensor& y);
void linear_data_grad_cuda(const char* name, const Tensor& dy, const Tensor& weight, Tensor& dx);
// dbias, if it is not nullptr, is overwritten by the same pass.
void linear_weight_grad_cuda(const char* name, const Tensor& dy, const Tensor& x,
                             GradientTarget dweight, Tensor* dbias);
// The gradients of the weight and the bias, which are these inputs of the op, if they are wanted.
void linear_parameter_grads_cuda(const char* name, Backward& context, int weight, int bias,
                                 const Tensor& dy, const Tensor& x);

}  // namespace warptape
