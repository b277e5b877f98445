#include "kernels/conv2d/convolve.h"

#include <utility>

#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile_work.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/conv2d/conv2d_kernels.h"
#include "kernels/conv2d/conv_gradients.h"
#include "kernels/geometry/give_viewed.h"
#include "kernels/pool/poolable.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

void parameter_grads_cpu(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                         Tensor* dweight, Tensor* dbias) {
  if (dweight != nullptr) {
    conv2d_weight_grad_cpu(dy, x, geometry, *dweight);
  }
  if (dbias != nullptr) {
    conv2d_bias_grad_cpu(dy, *dbias);
  }
}

}  // namespace

void conv_parameter_grads(Backward& context, const Tensor& dy, const Tensor& x,
                          const Tensor& weight, const ConvGeometry& geometry, GradientSums* sums) {
  const ConvGeometry planar = geometry.as_planar();
  const DType dtype = compute_dtype(weight.dtype());
  const Shape& shape = geometry.filter_shape();
  // Where filters lie alike in all formats the gradient is made in place.
  const bool in_place = shape[1] == 1 || shape.numel() == shape[0] * shape[1];
  Tensor dweight;
  if (context.needs(1)) {
    dweight = in_place
                  ? primitives::relabelled(context.overwrite(1, dtype).view(weight.shape()),
                                           weight.memory_format())
                  : Tensor::empty(weight.shape(), dtype, weight.device(), weight.memory_format());
  }
  Tensor dbias = context.needs(2) ? context.overwrite(2, dtype) : Tensor();
  Tensor* const to_dweight = dweight.defined() ? &dweight : nullptr;
  const bool has_dbias = sums != nullptr && dbias.defined() && sums->are_made(dy, dbias);
  Tensor* const to_dbias = dbias.defined() && !has_dbias ? &dbias : nullptr;
  if (to_dweight == nullptr && to_dbias == nullptr) {
    return;
  }
  profile::note([&] {
    return to_dweight != nullptr ? profile::moved({&dy, &x}, {&dweight, &dbias}, planar.flops())
                                 : profile::moved({&dy}, {&dbias});
  });
  on_device(
      geometry.op, dy.device(), [&] { parameter_grads_cpu(dy, x, planar, to_dweight, to_dbias); },
      [&] { conv2d_parameter_grads_cuda(dy, x, planar, to_dweight, to_dbias); });
  if (to_dweight != nullptr && !in_place) {
    give_viewed(context, 1, dweight, shape);
  }
}

Tensor conv_pixels(const Operand& x, const Shape& shape) {
  return primitives::relayout(x.tensor().detach().view(shape), channels_last);
}

Tensor conv_filters(const Operand& weight, const Shape& shape) {
  const bool by_rows = weight.device().type == DeviceType::CPU;
  return primitives::relayout(weight.tensor().detach().view(shape),
                              by_rows ? MemoryFormat::RowMajor : channels_last);
}

namespace {

// geometry: as asked.
void backward(Backward& context, const Tensor& x, const Tensor& weight,
              const ConvGeometry& geometry, GradientSums* sums) {
  const ConvGeometry planar = geometry.as_planar();
  const Tensor dy = context.grad().view(planar.y_shape());
  conv_parameter_grads(context, dy, x, weight, geometry, sums);
  if (context.needs(0)) {
    Tensor dx = Tensor::empty_like(x);
    profile::note([&] { return profile::moved({&dy, &weight}, {&dx}, planar.flops()); });
    on_device(
        geometry.op, dy.device(), [&] { conv2d_data_grad_cpu(dy, weight, Tensor(), planar, dx); },
        [&] { conv2d_data_grad_cuda(dy, weight, Tensor(), planar, dx); });
    give_viewed(context, 0, dx, geometry.x_shape());
  }
}

class ConvWork final : public PoolableWork {
 public:
  ConvWork(const Operand& x, const Operand& weight, const Operand& bias,
           const ConvGeometry& geometry)
      : shape_(geometry.y_shape()),
        geometry_(geometry.as_planar()),
        pixels(conv_pixels(x, geometry_.x_shape())),
        filters(conv_filters(weight, geometry_.filter_shape())),
        wide_bias_(widened(bias.tensor())) {}

  Tensor compute() override {
    const profile::Range range(geometry_.op);
    Tensor y = Tensor::empty(geometry_.y_shape(), pixels.dtype(), pixels.device(), channels_last);
    profile::note([&] {
      return profile::moved({&pixels, &filters, &wide_bias_}, {&y}, geometry_.flops());
    });
    on_device(
        geometry_.op, y.device(),
        [&] { conv2d_forward_cpu(pixels, filters, wide_bias_, geometry_, y); },
        [&] { conv2d_forward_cuda(pixels, filters, wide_bias_, geometry_, y); });
    return y.view(shape_);
  }

  bool compute_pooled(const PoolGeometry& pool, bool with_relu, Tensor& y,
                      Tensor& indices) override {
    const profile::LayerScope as_called(layer());
    bool is_done = false;
    on_device(
        geometry_.op, y.device(), [] {},
        [&] {
          is_done = conv2d_pooled_cuda(pixels, filters, wide_bias_, geometry_, pool, with_relu, y,
                                       indices);
        });
    return is_done;
  }

 private:
  const Shape shape_;            // of the result
  const ConvGeometry geometry_;  // planar

 public:
  const Tensor pixels;
  const Tensor filters;

 private:
  const Tensor wide_bias_;
};

// Null where the bias wants no gradient, or gets it with the weight's.
std::shared_ptr<GradientSums> sums_for_pooling(const Operand& x, const Operand& bias,
                                               const ConvGeometry& geometry) {
  bool is_alone = false;
  const auto parameter = bias.defined() ? bias.parameter() : nullptr;
  if (parameter != nullptr && parameter->requires_grad) {
    on_device(
        geometry.op, x.device(), [] {},
        [&] { is_alone = conv2d_sums_bias_grad_alone_cuda(x.dtype(), geometry.as_planar()); });
  }
  return is_alone ? std::make_shared<GradientSums>(parameter) : nullptr;
}

}  // namespace

Tensor convolve(const Operand& x, const Operand& weight, const Operand& bias,
                const ConvGeometry& geometry) {
  const auto work = std::make_shared<ConvWork>(x, weight, bias, geometry);
  return Deferred::result(
      work, {geometry.y_shape(), x.dtype(), x.device(), channels_last}, [&](Tensor& y) {
        if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
          work->gradient_sums = sums_for_pooling(x, bias, geometry);
          tape->record(
              geometry.op, {&x, &weight, &bias}, {&y},
              [saved_x = Saved(work->pixels), saved_weight = Saved(work->filters), geometry,
               sums = work->gradient_sums](Backward& context) {
                if (context.creates_graph()) {
                  give_conv_gradients(context, context.grad(), saved_x.get(), saved_weight.get(),
                                      geometry);
                } else {
                  backward(context, saved_x.get(), saved_weight.get(), geometry, sums.get());
                }
              },
              Differentiable::Twice);
        }
      });
}

namespace {

// x and weight as the kernels read them; geometry: as asked.
void transposed_backward(Backward& context, const Tensor& x, const Tensor& weight,
                         const ConvGeometry& geometry) {
  const ConvGeometry planar = geometry.as_planar();
  const Tensor dy = context.grad().view(planar.x_shape());
  const DType dtype = compute_dtype(weight.dtype());
  if (context.needs(1)) {
    Tensor dweight = Tensor::empty(weight.shape(), dtype, weight.device(), weight.memory_format());
    profile::note([&] { return profile::moved({&x, &dy}, {&dweight}, planar.flops()); });
    on_device(
        geometry.op, dy.device(), [&] { conv2d_weight_grad_cpu(x, dy, planar, dweight); },
        [&] { conv2d_parameter_grads_cuda(x, dy, planar, &dweight, nullptr); });
    give_viewed(context, 1, dweight, geometry.filter_shape());
  }
  if (context.needs(2)) {
    Tensor dbias = context.overwrite(2, dtype);
    profile::note([&] { return profile::moved({&dy}, {&dbias}); });
    on_device(
        geometry.op, dy.device(), [&] { conv2d_bias_grad_cpu(dy, dbias); },
        [&] { conv2d_bias_grad_cuda(geometry.op, dy, dbias); });
  }
  if (context.needs(0)) {
    Tensor dx = Tensor::empty_like(x);
    profile::note([&] { return profile::moved({&dy, &weight}, {&dx}, planar.flops()); });
    on_device(
        geometry.op, dy.device(), [&] { conv2d_forward_cpu(dy, weight, Tensor(), planar, dx); },
        [&] { conv2d_forward_cuda(dy, weight, Tensor(), planar, dx); });
    give_viewed(context, 0, dx, geometry.y_shape());
  }
}

}  // namespace

Tensor convolve_transposed(const Operand& x, const Operand& weight, const Operand& bias,
                           const ConvGeometry& geometry) {
  const profile::Range range(geometry.op);
  const ConvGeometry planar = geometry.as_planar();
  const Tensor pixels = conv_pixels(x, planar.y_shape());
  const Tensor filters = conv_filters(weight, planar.filter_shape());
  const Tensor wide_bias = widened(bias.tensor());
  Tensor image = Tensor::empty(planar.x_shape(), x.dtype(), x.device(), channels_last);
  profile::note([&] {
    return profile::moved({&pixels, &filters, &wide_bias}, {&image}, planar.flops());
  });
  on_device(
      geometry.op, image.device(),
      [&] { conv2d_data_grad_cpu(pixels, filters, wide_bias, planar, image); },
      [&] { conv2d_data_grad_cuda(pixels, filters, wide_bias, planar, image); });
  Tensor y = image.view(geometry.x_shape());
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    tape->record(
        geometry.op, {&x, &weight, &bias}, {&y},
        [saved_x = Saved(pixels), saved_weight = Saved(filters), geometry](Backward& context) {
          const auto give =
              context.creates_graph() ? give_transposed_conv_gradients : transposed_backward;
          give(context, saved_x.get(), saved_weight.get(), geometry);
        },
        Differentiable::Twice);
  }
  return y;
}

}  // namespace warptape
