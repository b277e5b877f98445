#pragma once
// What convolutions and their transposes are after their checks.

#include "core/operand.h"
#include "core/tape.h"
#include "kernels/geometry/conv_geometry.h"
#include "kernels/pool/gradient_sums.h"

namespace warptape {

// y of the geometry's y_shape, channels-last, recorded under the geometry's op. One or two axes.
Tensor convolve(const Operand& x, const Operand& weight, const Operand& bias,
                const ConvGeometry& geometry);

// The transpose, of conv_transpose_geometry: y of the geometry's x_shape, channels-last.
Tensor convolve_transposed(const Operand& x, const Operand& weight, const Operand& bias,
                           const ConvGeometry& geometry);

// What the convolutions of other files share with these.

// x and weight as the device's kernels read them, of the shapes of a planar geometry: constants, as
// views of a tensor on a tape would be records of their own.
Tensor conv_pixels(const Operand& x, const Shape& shape);
Tensor conv_filters(const Operand& weight, const Shape& shape);

// Gives the gradients of the weight and the bias, inputs 1 and 2, where they are wanted. dy, x,
// weight: as the kernels read them; geometry: as asked. sums: that dy's op may have made the bias's
// in.
void conv_parameter_grads(Backward& context, const Tensor& dy, const Tensor& x,
                          const Tensor& weight, const ConvGeometry& geometry,
                          GradientSums* sums = nullptr);

}  // namespace warptape
