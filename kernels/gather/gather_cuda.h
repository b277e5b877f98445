#pragma once
#include "core/device/gpu.h"
#include "kernels/gather/gather_plan.h"

namespace warptape::on_cuda {

// bad_index: the code that is reported with the place and the value of an index outside of x.
template <class T>
void gather(gpu::StreamHandle stream, const GatherLoop& loop, const T* x, const int64_t* index,
            gpu::ErrorReport* report, int bad_index, T* y);

// partials: lines.partials() elements of workspace.
template <class T>
void gather_backward(gpu::StreamHandle stream, const GatherLines& lines, const T* dy,
                     const int64_t* index, bool accumulate, double* partials, T* dx);

}  // namespace warptape::on_cuda
