#pragma once
// The two ends of a gradient's mask (core/gradient_mask.h) in convolutions along sequences: whoever
// asked for one, and whoever makes the gradient.

#include "core/tape.h"

namespace warptape {

// The gradient of the record's output behind the mask that its op asked for. No marks: everything
// passes.
MaskedGradient take_masked_gradient(Backward& context, const GradientMask& mask);

// Where a gradient through a mask goes, of the marks' shape and format and of this dtype. The whole
// gradient is made in `whole`: the outer one of them, or the inner one where that is not wanted. It
// is the part that others made where nobody else holds that.
struct MaskedPlaces {
  MaskedPlaces(const GradientMask& mask, const Tensor& part, DType dtype);

  MaskedGradient gradient;
  Tensor whole;
};

}  // namespace warptape
