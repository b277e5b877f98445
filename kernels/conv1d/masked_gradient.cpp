#include "kernels/conv1d/masked_gradient.h"

#include <utility>

#include "core/device/on_device.h"
#include "core/parallel.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/profile_work.h"
#include "kernels/conv1d/line_epilogue.h"
#include "kernels/conv1d/mask_gradient_cuda.h"
#include "kernels/conv2d/conv_gradients.h"
#include "kernels/pointwise/pointwise.h"

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

namespace {

MaskedGradient behind_mask(const Tensor& dy, const GradientMask& mask) {
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

// As ops that are recorded. Where there is one gradient it is both.
MaskedGradient behind_mask_as_ops(const Tensor& dy, const GradientMask& mask) {
  if (!mask.marks.defined()) {
    return {dy, dy};
  }
  // What a mask does is a product with constants.
  const Tensor ones = primitives::relayout(Tensor::ones(dy.shape(), dy.dtype(), dy.device()),
                                           mask.marks.memory_format());
  const MaskedGradient factors = behind_mask(ones, mask);
  const Tensor inner = dy * factors.inner;
  return {inner, factors.outer.defined() ? dy * factors.outer : inner};
}

}  // namespace

MaskedGradient take_masked_gradient(Backward& context, const GradientMask& mask) {
  if (context.grad_is_masked()) {
    return {context.take_grad(), context.take_outer_grad()};
  }
  const Tensor dy = context.take_grad();
  return mask.marks.defined() ? behind_mask(dy, mask) : MaskedGradient{dy, Tensor()};
}

void give_masked_conv1d_gradients(Backward& context, const GradientMask& mask, const Tensor& x,
                                  const Tensor& weight, const ConvGeometry& geometry) {
  const MaskedGradient dy = behind_mask_as_ops(context.grad(), mask);
  give_conv_gradients(context, dy.inner, x, weight, geometry);
  if (context.needs(3)) {
    context.give(3, dy.outer);
  }
}

}  // namespace warptape
