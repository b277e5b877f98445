#pragma once
// conv1d on "cuda" with the ops behind it in a residual block (LineEpilogue) done by its own
// kernel, and their gradients' masks by the kernel that makes the gradient of their result.

#include "core/operand.h"
#include "kernels/geometry/conv_geometry.h"

namespace warptape {

// float32 and bfloat16, not depthwise, and not where a library is asked for. A library has none of
// the ops behind: it makes the products alone that have none, where it is chosen for them.
bool conv1d_pass_serves_cuda(DType dtype, const ConvGeometry& geometry);

// y in channels-last, recorded as conv1d.
Tensor conv1d_pass_cuda(const Operand& x, const Operand& weight, const Operand& bias,
                        const ConvGeometry& geometry);

}  // namespace warptape
