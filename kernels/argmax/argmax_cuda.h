#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"
#include "kernels/reduce/reduce_plan.h"

namespace warptape::on_cuda {

// The best element so far, and its place in the reduction.
template <class T>
struct Best {
  T value;
  int64_t index;
};

// y = the place of the largest element, counted in the memory order of the reduced dimensions;
// partials: plan.partials elements of workspace.
template <class T>
void argmax(gpu::StreamHandle stream, const ReducePlan<1>& plan, const T* x, int64_t* y,
            Best<Compute<T>>* partials);

}  // namespace warptape::on_cuda
