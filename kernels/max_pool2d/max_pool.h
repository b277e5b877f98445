#pragma once
// What max_pool1d and max_pool2d are after their checks.

#include "core/operand.h"
#include "kernels/pointwise/activation.h"
#include "kernels/pool/pool_geometry.h"

namespace warptape {

// Of the geometry's pooled_shape, channels-last unless the next op takes it by rows.
Tensor max_pool(const Operand& x, const PoolGeometry& geometry, Activation activation);

}  // namespace warptape
