#pragma once
// The optional weight and bias of normalisations.

#include <vector>

#include "core/tape.h"

namespace warptape::normalize {

// That a weight or a bias, if defined, has this shape, and x's dtype or what x is computed in.
void check_parameter(const char* op, const char* what, const Operand& x, const Operand& parameter,
                     const Shape& shape);
// eps: ValueError unless finite and 0 or more.
void check_eps(const char* op, const Operand& x, double eps);

// As kernels read it: in the dtype that x is computed in; undefined stays so.
Tensor as_computed(const Tensor& parameter, DType dtype);

// Where the gradient of input i goes; nowhere if nobody wants it.
GradientTarget wanted_gradient(Backward& context, int i, DType dtype);

// (x - its mean) / sqrt(its variance + eps), over these dimensions, and scaled_and_shifted: what a
// normalisation is made of, as ops that are recorded. In what x is computed in.
Tensor normalized_over(const Operand& x, const std::vector<int>& dims, double eps);
// y weight + bias, each in this shape beside y, or undefined.
Tensor scaled_and_shifted(const Operand& y, const Tensor& weight, const Tensor& bias,
                          const Shape& shape);

// Gradients where x has no elements: zeros, of x none.
void backward_of_nothing(Backward& context);

// An optional tensor, kept for a backward pass.
inline Saved saved_if_defined(const Tensor& tensor) {
  return tensor.defined() ? Saved(tensor) : Saved();
}
inline Tensor value_if_saved(const Saved& saved) {
  return saved.defined() ? saved.get() : Tensor();
}

}  // namespace warptape::normalize
