#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"

namespace warptape::on_cuda {

// inner = dy * scale where marks let it pass (gradient_marks.h), else 0; outer the same without the
// scale, by its own bit, or nullptr where it is not wanted. T: float or bfloat16.
template <class T>
void mask_gradient(gpu::StreamHandle stream, int64_t n, const T* dy, const uint8_t* marks,
                   Compute<T> scale, T* inner, T* outer);

}  // namespace warptape::on_cuda
