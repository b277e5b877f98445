#include "kernels/conv2d/conv_gradients.h"

#include <vector>

#include "core/device/on_device.h"
#include "core/profile_work.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/sum/sum.h"

namespace warptape {
namespace {

void give_bias_gradient(Backward& context, const Operand& dy) {
  if (context.needs(2)) {
    std::vector<int> all_but_channels{0};
    for (int d = 2; d < dy.rank(); ++d) {
      all_but_channels.push_back(d);
    }
    context.give(2, sum(dy, all_but_channels));
  }
}

}  // namespace

Tensor conv_weight_grad(const Operand& dy, const Operand& x, const ConvGeometry& geometry) {
  const profile::Range range(geometry.op);
  const ConvGeometry planar = geometry.as_planar();
  const Tensor outputs = conv_pixels(dy, planar.y_shape());
  const Tensor pixels = conv_pixels(x, planar.x_shape());
  const MemoryFormat format =
      x.device().type == DeviceType::CPU ? MemoryFormat::RowMajor : MemoryFormat::ChannelsLast;
  Tensor dweight =
      Tensor::empty(planar.filter_shape(), compute_dtype(x.dtype()), x.device(), format);
  profile::note([&] { return profile::moved({&outputs, &pixels}, {&dweight}, planar.flops()); });
  on_device(
      geometry.op, x.device(), [&] { conv2d_weight_grad_cpu(outputs, pixels, planar, dweight); },
      [&] { conv2d_parameter_grads_cuda(outputs, pixels, planar, &dweight, nullptr); });
  Tensor result = dweight.view(geometry.filter_shape());
  if (Tape* tape = Tape::recording({&dy, &x})) {
    tape->record(
        "conv_weight_grad", {&dy, &x}, {&result},
        [saved_dy = Saved(outputs), saved_x = Saved(pixels), geometry](Backward& context) {
          const Tensor d2weight = context.grad();
          const Operand nothing = Tensor();
          if (context.needs(0)) {
            const Tensor image = context.input(1, saved_x.get().view(geometry.x_shape()));
            context.give(0, convolve(image, d2weight, nothing, geometry));
          }
          if (context.needs(1)) {
            const Tensor sums = context.input(0, saved_dy.get().view(geometry.y_shape()));
            context.give(1, convolve_transposed(sums, d2weight, nothing, geometry));
          }
        },
        Differentiable::Twice);
  }
  return result;
}

void give_conv_gradients(Backward& context, const Operand& dy, const Tensor& x,
                         const Tensor& weight, const ConvGeometry& geometry) {
  if (context.needs(0)) {
    const Tensor filters = context.input(1, weight.view(geometry.filter_shape()));
    context.give(0, convolve_transposed(dy, filters, Tensor(), geometry));
  }
  if (context.needs(1)) {
    const Tensor image = context.input(0, x.view(geometry.x_shape()));
    context.give(1, conv_weight_grad(dy, image, geometry));
  }
  give_bias_gradient(context, dy);
}

void give_transposed_conv_gradients(Backward& context, const Tensor& x, const Tensor& weight,
                                    const ConvGeometry& geometry) {
  const Operand dy = context.grad();
  if (context.needs(0)) {
    const Tensor filters = context.input(1, weight.view(geometry.filter_shape()));
    context.give(0, convolve(dy, filters, Tensor(), geometry));
  }
  if (context.needs(1)) {
    const Tensor image = context.input(0, x.view(geometry.y_shape()));
    context.give(1, conv_weight_grad(image, dy, geometry));
  }
  give_bias_gradient(context, dy);
}

}  // namespace warptape
