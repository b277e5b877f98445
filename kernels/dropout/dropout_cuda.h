#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"
#include "core/philox.h"

namespace warptape::on_cuda {

// Where elements lie: images of `inner` elements of each of `channels`, channels last. Row-major
// tensors are one image with one channel.
struct DropoutExtents {
  int64_t images = 1;
  int64_t inner = 1;
  int64_t channels = 1;
};

// to = scale * x where the element's random word is at least `threshold`, else 0; or to += that.
template <class T>
void dropout(gpu::StreamHandle stream, const DropoutExtents& extents, const T* x,
             uint64_t threshold, Compute<T> scale, const RandomStream& random, T* to, bool add);

}  // namespace warptape::on_cuda
