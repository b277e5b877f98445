#pragma once
#include "core/device/gpu.h"
#include "core/simt/memory.h"
#include "kernels/regions/place_plan.h"

namespace warptape::on_cuda {

// from: the first element of the box.
template <class T>
void place(gpu::StreamHandle stream, const PlacePlan& plan, const T* from, T value, T* to);

}  // namespace warptape::on_cuda
