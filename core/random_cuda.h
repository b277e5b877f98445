#pragma once
#include "core/device/gpu.h"
#include "core/random_values.h"

namespace warptape::random {

// to[i] = element i of the draw. T: the floating element types.
template <class T>
void fill(gpu::StreamHandle stream, T* to, int64_t n, const NormalValues<T>& values);
template <class T>
void fill(gpu::StreamHandle stream, T* to, int64_t n, const UniformValues<T>& values);

}  // namespace warptape::random
