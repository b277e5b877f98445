#pragma once
#include "core/tape.h"

namespace warptape {

// loss = scale * sum of (input - target)^2; both in one memory format.
void mse_loss_forward_cpu(const Tensor& input, const Tensor& target, double scale, Tensor& loss);
void mse_loss_forward_cuda(const Tensor& input, const Tensor& target, double scale, Tensor& loss);

// to = scale * dy * 2 * (input - target)
void mse_loss_backward_cpu(const Tensor& dy, const Tensor& input, const Tensor& target,
                           double scale, GradientTarget to);
void mse_loss_backward_cuda(const Tensor& dy, const Tensor& input, const Tensor& target,
                            double scale, GradientTarget to);

}  // namespace warptape
