#include "kernels/conv1d/masked_gradient.h"

#include <utility>

#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/profile.h"
#include "core/profile_work.h"
#include "kernels/conv1d/line_epilogue.h"
#include "kernels/conv1d/mask_gradient_cuda.h"

namespace warptape {
namespace {

// result: its outer gradient may be dy; where there is none, its inner one.
void mask_lines(const Tensor& dy, const GradientMask& mask, MaskedGradient& result) {
  const LineMask loops{mask.marks.data<uint8_t>(), static_cast<float>(mask.scale),
                       result.inner.mutable_data<float>(),
                       result.outer.defined() ? result.outer.mutable_data<float>() : nullptr};
  const float* const from = dy.data<float>();
  parallel_for(dy.numel(), default_grain / 4,
               [&](int64_t begin, int64_t end) { loops.apply(from, begin, end - begin); });
}

template <class T>
void mask_on_cuda(const Tensor& dy, const GradientMask& mask, MaskedGradient& result) {
  on_cuda::mask_gradient<T>(gpu::current_stream(), dy.numel(), dy.data<T>(),
                            mask.marks.data<uint8_t>(), static_cast<float>(mask.scale),
                            result.inner.mutable_data<T>(),
                            result.outer.defined() ? result.outer.mutable_data<T>() : nullptr);
}

}  // namespace

MaskedPlaces::MaskedPlaces(const GradientMask& mask, const Tensor& part, DType dtype) {
  const Tensor& like = mask.marks;
  const auto make = [&] {
    return Tensor::empty(like.shape(), dtype, like.device(), like.memory_format());
  };
  whole = part.defined() && part.is_sole_owner() ? part : make();
  gradient.inner = mask.wants_outer ? make() : whole;
  gradient.outer = mask.wants_outer ? whole : Tensor();
}

MaskedGradient take_masked_gradient(Backward& context, const GradientMask& mask) {
  if (context.grad_is_masked()) {
    return {context.take_grad(), context.take_outer_grad()};
  }
  const Tensor dy = context.take_grad();
  if (!mask.marks.defined()) {
    return {dy, Tensor()};
  }
  const profile::Range range("mask_gradient", profile::Phase::Backward);
  MaskedGradient result = MaskedPlaces(mask, dy, dy.dtype()).gradient;
  if (dy.numel() == 0) {
    return result;
  }
  profile::note([&] { return profile::moved({&dy, &mask.marks}, {&result.inner, &result.outer}); });
  on_device(
      "conv1d backward", dy.device(), [&] { mask_lines(dy, mask, result); },
      [&] {
        if (dy.dtype() == bfloat16) {
          mask_on_cuda<simt::bfloat16>(dy, mask, result);
        } else {
          mask_on_cuda<float>(dy, mask, result);
        }
      });
  return result;
}

}  // namespace warptape
