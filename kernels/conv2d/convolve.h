#pragma once
// What convolutions and their transposes are after their checks.

#include "core/operand.h"
#include "kernels/geometry/conv_geometry.h"

namespace warptape {

// y of the geometry's y_shape, channels-last, recorded under the geometry's op. One or two axes.
Tensor convolve(const Operand& x, const Operand& weight, const Operand& bias,
                const ConvGeometry& geometry);

// The transpose, of conv_transpose_geometry: y of the geometry's x_shape, channels-last.
Tensor convolve_transposed(const Operand& x, const Operand& weight, const Operand& bias,
                           const ConvGeometry& geometry);

}  // namespace warptape
