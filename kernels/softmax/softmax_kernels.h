#pragma once
#include "core/tape.h"

namespace warptape {

void softmax_forward_cpu(const Tensor& x, int dim, Tensor& y);
void softmax_backward_cpu(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);
void softmax_forward_cuda(const Tensor& x, int dim, Tensor& y);
void softmax_backward_cuda(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);

}  // namespace warptape
