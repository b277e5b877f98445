#pragma once
#include "core/device/gpu.h"
#include "core/element_types.h"

namespace warptape::on_cuda {

// Tensors of (outer, size, inner) in memory, of which a slice has `count` of `size`.
struct PlacedSlice {
  int64_t outer;
  int64_t size;
  int64_t inner;
  int64_t begin;
  int64_t step;
  int64_t count;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class T>
struct PlacedGradients {
  const T* dy;           // of the slice
  const T* part;         // of the gradient, or nullptr: is added; may be one of those below
  const uint8_t* marks;  // gradient_marks.h
  Compute<T> scale;      // of the inner gradient
  T* inner;
  T* outer;  // or nullptr

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(dy);
    if (part != nullptr) {
      visit(part);
    }
    visit(marks);
    visit(inner);
    if (outer != nullptr) {
      visit(outer);
    }
  }
};

// dy where the slice is and zero elsewhere, through the mask. T: float or bfloat16.
template <class T>
void place_masked(gpu::StreamHandle stream, const PlacedSlice& slice,
                  const PlacedGradients<T>& gradients);

}  // namespace warptape::on_cuda
