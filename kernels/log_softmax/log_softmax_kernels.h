#pragma once
#include "core/tape.h"

namespace warptape {

void log_softmax_forward_cpu(const Tensor& x, int dim, Tensor& y);
void log_softmax_backward_cpu(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);
void log_softmax_forward_cuda(const Tensor& x, int dim, Tensor& y);
void log_softmax_backward_cuda(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx);

}  // namespace warptape
