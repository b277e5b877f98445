#pragma once
#include "core/tape.h"
#include "kernels/cross_entropy/cross_entropy.h"
#include "kernels/losses/labels.h"

namespace warptape {

// What forward leaves to backward. The CPU: log(sum(exp(logits))) of every row, in the order of the
// labels, and their count. "cuda", if it is defined beforehand: the gradient of the loss, which
// backward hands on, or scales.
struct CrossEntropyState {
  Tensor log_sums;
  CountedLabels labels;
  Tensor gradient;
};

// labels: row-major. One that is no class ends the CPU's work; "cuda" reports it at the next
// synchronisation.
CountedLabels cross_entropy_forward_cpu(const Tensor& logits, const Tensor& labels,
                                        const CrossEntropyOptions& options,
                                        CrossEntropyState& state, Tensor& loss);
void cross_entropy_forward_cuda(const Tensor& logits, const Tensor& labels,
                                const CrossEntropyOptions& options, CrossEntropyState& state,
                                Tensor& loss);

void cross_entropy_backward_cpu(const Tensor& dy, const Tensor& logits, const Tensor& labels,
                                const Tensor& log_sums, const CrossEntropyOptions& options,
                                int64_t counted, GradientTarget dlogits);
// of_one: the gradient for dy = 1
void cross_entropy_backward_cuda(const Tensor& dy, const Tensor& of_one, GradientTarget dlogits);

}  // namespace warptape
