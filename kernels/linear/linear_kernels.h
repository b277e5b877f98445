#pragma once
#include "core/tape.h"

namespace warptape {

// x, y, dx, dy are row-major with the features last: (rows, features). bias may be undefined.
void linear_forward_cpu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y);
void linear_data_grad_cpu(const Tensor& dy, const Tensor& weight, Tensor& dx);
void linear_weight_grad_cpu(const Tensor& dy, const Tensor& x, GradientTarget dweight);
void linear_bias_grad_cpu(const Tensor& dy, GradientTarget dbias);

}  // namespace warptape
