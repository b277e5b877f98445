#pragma once
#include "core/strided_loop.h"
#include "kernels/regions/place_plan.h"
#include "kernels/regions/regions.h"

namespace warptape {

// Operands of the loop: the target's region, the source's.
void move_region_cuda(const StridedLoop<2>& loop, const Tensor& from, const Region& source,
                      Tensor& to, const Region& target, WriteMode mode);

// In one launch; the box has elements.
void place_region_cuda(const Tensor& from, const Region& source, Tensor& to, const Box& box,
                       double value);

// pack: the elements in 16 bytes where both tensors are aligned to that, else 1.
PlacePlan place_plan(const Box& box, const Region& source, const Shape& target, MemoryFormat format,
                     int pack);

}  // namespace warptape
