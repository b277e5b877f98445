#pragma once
// Gradients of convolutions as ops, for backward functions that create a graph. Those by x and by
// the weight are a transposed convolution and conv_weight_grad, and the gradients of these are
// convolutions and the same two again.

#include "kernels/conv2d/convolve.h"

namespace warptape {

// The gradient of the weight, of the geometry's filter_shape. dy: of its y_shape; x: of its
// x_shape.
Tensor conv_weight_grad(const Operand& dy, const Operand& x, const ConvGeometry& geometry);

// Gives a convolution's inputs x, weight and bias (0 to 2) their gradients, where they are wanted.
// dy: as it is on the tape; x, weight: their elements, as kernels or as callers see them.
void give_conv_gradients(Backward& context, const Operand& dy, const Tensor& x,
                         const Tensor& weight, const ConvGeometry& geometry);
// The same of a transposed convolution.
void give_transposed_conv_gradients(Backward& context, const Tensor& x, const Tensor& weight,
                                    const ConvGeometry& geometry);

}  // namespace warptape
