#pragma once
// One run of a case and its backward pass, and the gradients that a test wants of it.

#include "core/tensor.h"
#include "kernels/cases/case.h"

namespace warptape {

// Whether sanitizers watch this build: they see how kernels run, not what they compute, and are
// slow. The environment variable stands for those that are not compiled in.
bool is_sanitized();

// Whether input i of the case gets a gradient.
bool differentiable(const OpCase& op_case, size_t i);

// Random weights like the output, so that no error hides in a sum of equal weights.
Tensor output_weights(const Tensor& output);

struct Run {
  std::vector<Tensor> inputs;
  std::vector<Tensor> gradients;  // undefined where none was asked for
  Tensor output;
};

// Gradients by the tape. wanted: an input's number, or -1 for all.
Run run_backward(const OpCase& op_case, DType dtype, Device device, int wanted);
// The same of all inputs, these and the weights of the output rounded to bfloat16 before.
Run run_rounded_backward(const OpCase& op_case, DType dtype, Device device);

// Whether a gradient is one of rounding errors alone, as of a softmax over one class: no relative
// bound holds for it.
bool is_nothing(const Tensor& gradient);

}  // namespace warptape
