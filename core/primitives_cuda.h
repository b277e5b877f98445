#pragma once
// The primitives' CUDA kernels behind functions of pointers and sizes. T, To and From: the element
// types of dtype.h.

#include "core/device/gpu.h"
#include "core/element_types.h"
#include "core/strided_loop.h"

namespace warptape::primitives::on_cuda {

template <class T>
void fill(gpu::StreamHandle stream, T* to, int64_t n, T value);

// to <- from, or to <- to + from; operand 0 of the loop is `to`.
template <class T>
void copy(gpu::StreamHandle stream, const StridedLoop<2>& loop, T* to, const T* from);
template <class T>
void add(gpu::StreamHandle stream, const StridedLoop<2>& loop, T* to, const T* from);

// From every element type; from To itself nothing is done.
template <class To>
struct CastTo {
#define WARPTAPE_DECLARE(dtype, From, name) \
  static void from(gpu::StreamHandle stream, To* to, const From* values, int64_t n);
  WARPTAPE_DTYPES(WARPTAPE_DECLARE)
#undef WARPTAPE_DECLARE
};

// Sets *found (one of device memory, 0 before) to 1 if an element is infinite or NaN.
template <class T>
void find_not_finite(gpu::StreamHandle stream, const T* values, int64_t n, int* found);

}  // namespace warptape::primitives::on_cuda
