#pragma once
// What avg_pool1d, avg_pool2d and adaptive_avg_pool1d of equal windows are after their checks.

#include "core/operand.h"
#include "kernels/pool/pool_geometry.h"

namespace warptape {

// Of the geometry's pooled_shape, channels-last.
Tensor avg_pool(const Operand& x, const PoolGeometry& geometry, bool count_include_pad);

}  // namespace warptape
