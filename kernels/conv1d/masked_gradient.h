#pragma once
// The two ends of a gradient's mask (core/gradient_mask.h) in convolutions along sequences: whoever
// asked for one, and whoever makes the gradient.

#include "core/tape.h"
#include "kernels/geometry/conv_geometry.h"

namespace warptape {

// The gradient of the record's output behind the mask that its op asked for. No marks: everything
// passes.
MaskedGradient take_masked_gradient(Backward& context, const GradientMask& mask);

// For a backward that creates a graph, of a convolution behind whose sums there was such an op:
// gives its inputs x, weight, bias and residual (0 to 3) their gradients. x, weight: their
// elements.
void give_masked_conv1d_gradients(Backward& context, const GradientMask& mask, const Tensor& x,
                                  const Tensor& weight, const ConvGeometry& geometry);

// Where a gradient through a mask goes, of the marks' shape and format and of this dtype. The whole
// gradient is made in `whole`: the outer one of them, or the inner one where that is not wanted. It
// is the part that others made where nobody else holds that.
struct MaskedPlaces {
  MaskedPlaces(const GradientMask& mask, const Tensor& part, DType dtype);

  MaskedGradient gradient;
  Tensor whole;
};

}  // namespace warptape
