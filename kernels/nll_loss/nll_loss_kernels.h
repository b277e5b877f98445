#pragma once
#include "core/tape.h"
#include "kernels/losses/labels.h"

namespace warptape {

struct NllLossCall {
  bool each = false;  // a loss for each label, which is not summed
  bool mean = true;
  int64_t ignore_index = -100;
};

// labels: row-major. counted: float64, one element, receives the labels that are not ignored,
// unless `each`.
CountedLabels nll_loss_forward_cpu(const NllLossCall& call, const Tensor& input,
                                   const Tensor& labels, Tensor& counted, Tensor& y);
void nll_loss_forward_cuda(const NllLossCall& call, const Tensor& input, const Tensor& labels,
                           Tensor& counted, Tensor& y);

// dinput gets a gradient where labels name an element, and 0 elsewhere.
void nll_loss_backward_cpu(const NllLossCall& call, const Tensor& dy, const Tensor& labels,
                           const Tensor& counted, GradientTarget dinput);
void nll_loss_backward_cuda(const NllLossCall& call, const Tensor& dy, const Tensor& labels,
                            const Tensor& counted, GradientTarget dinput);

}  // namespace warptape
