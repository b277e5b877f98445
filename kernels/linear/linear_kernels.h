#pragma once
#include "core/tape.h"

namespace warptape {

// x, y, dx, dy are row-major with the features last: (rows, features). bias may be undefined.
void linear_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void linear_data_grad_cpu(const Tensor& dy, const Tensor& weight, Tensor& dx);
void linear_weight_grad_cpu(const Tensor& dy, const Tensor& x, GradientTarget dweight);
void linear_bias_grad_cpu(const Tensor& dy, GradientTarget dbias);

void linear_forward_cuda(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void linear_data_grad_cuda(const Tensor& dy, const Tensor& weight, Tensor& dx);
// dbias, if it is not nullptr, is overwritten by the same pass.
void linear_weight_grad_cuda(const Tensor& dy, const Tensor& x, GradientTarget dweight,
                             Tensor* dbias);
void linear_bias_grad_cuda(const Tensor& dy, Tensor& dbias);

}  // namespace warptape
