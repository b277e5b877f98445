#include "kernels/slice/place_masked_cuda.h"

#include <utility>

#include "kernels/slice/place_masked.h"

namespace warptape {
namespace {

// In memory channels-last tensors are (N, spatial dimensions, C).
on_cuda::PlacedSlice placed(const Tensor& whole, const Box& box, int dim) {
  const Shape& shape = whole.shape();
  const bool is_channels_last = whole.memory_format() == MemoryFormat::ChannelsLast;
  on_cuda::PlacedSlice slice{.outer = 1,
                             .size = shape[dim],
                             .inner = 1,
                             .begin = box.begin[static_cast<size_t>(dim)],
                             .step = box.step[static_cast<size_t>(dim)],
                             .count = box.sizes[dim]};
  const auto place = [&](int d) { return is_channels_last && d == 1 ? shape.rank() : d; };
  for (int d = 0; d < shape.rank(); ++d) {
    if (d != dim) {
      (place(d) < place(dim) ? slice.outer : slice.inner) *= shape[d];
    }
  }
  return slice;
}

}  // namespace

bool give_masked_slice_cuda(Backward& context, const Box& box, int dim) {
  const GradientMask* const mask = context.mask_of(0);
  if (mask == nullptr || mask->marks.device() != cuda) {
    return false;
  }
  const Tensor& marks = mask->marks;
  const Tensor& dy = context.grad();
  const Tensor part = context.take_part(0);
  const auto make = [&] {
    return Tensor::empty(marks.shape(), dy.dtype(), dy.device(), marks.memory_format());
  };
  MaskedGradient dx{make(), mask->wants_outer ? make() : Tensor()};
  const auto run = [&]<class T>() {
    on_cuda::place_masked<T>(gpu::current_stream(), placed(marks, box, dim),
                             {.dy = dy.data<T>(),
                              .part = part.defined() ? part.data<T>() : nullptr,
                              .marks = marks.data<uint8_t>(),
                              .scale = static_cast<Compute<T>>(mask->scale),
                              .inner = dx.inner.mutable_data<T>(),
                              .outer = dx.outer.defined() ? dx.outer.mutable_data<T>() : nullptr});
  };
  if (dy.dtype() == bfloat16) {
    run.operator()<simt::bfloat16>();
  } else {
    run.operator()<float>();
  }
  context.give_masked(0, std::move(dx));
  return true;
}

}  // namespace warptape
