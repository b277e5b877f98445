#include "kernels/conv2d/conv2d.h"

#include <algorithm>
#include <utility>

#include "core/checked_size.h"
#include "core/device/on_device.h"
#include "core/primitives.h"
#include "core/profile.h"
#include "core/tape.h"
#include "core/widened.h"
#include "kernels/conv2d/conv2d_kernels.h"

namespace warptape {
namespace {

constexpr MemoryFormat channels_last = MemoryFormat::ChannelsLast;

void check_options(const Operand& x, const Operand& weight, const Conv2dOptions& options) {
  const Site& site = x.site();
  check<ValueError>(options.stride.height >= 1 && options.stride.width >= 1, site,
                    "[conv2d] stride: got {}, wanted 1 or more", options.stride.to_string());
  check<ValueError>(options.padding.height >= 0 && options.padding.width >= 0, site,
                    "[conv2d] padding: got {}, wanted 0 or more", options.padding.to_string());
  check<ValueError>(options.dilation.height >= 1 && options.dilation.width >= 1, site,
                    "[conv2d] dilation: got {}, wanted 1 or more", options.dilation.to_string());
  const int64_t groups = options.groups;
  check<ValueError>(groups >= 1 && x.size(1) % groups == 0 && weight.size(0) % groups == 0, site,
                    "[conv2d] groups: got {}, wanted a divisor of {} input and {} output channels",
                    groups, x.size(1), weight.size(0));
  const CheckedSize wanted = CheckedSize(weight.size(1)) * groups;
  check<ShapeError>(wanted.fits() && x.size(1) == wanted.value(), site,
                    "[conv2d] input channels: got {} in shape {}, wanted {} for weight {}{}",
                    x.size(1), x.shape(), wanted.capped(), weight.shape(),
                    groups == 1 ? "" : fmt::format(" in {} groups", groups));
  // Kernels count pixels in 32 bits; up to here no sum of sizes can overflow those, or 64.
  constexpr int64_t largest = int64_t{1} << 28;
  for (const auto& [what, number] :
       {std::pair("stride", std::max(options.stride.height, options.stride.width)),
        std::pair("padding", std::max(options.padding.height, options.padding.width)),
        std::pair("dilation", std::max(options.dilation.height, options.dilation.width)),
        std::pair("kernel size", std::max(weight.size(2), weight.size(3))),
        std::pair("image size", std::max(x.size(2), x.size(3)))}) {
    check<ValueError>(number <= largest, site, "[conv2d] {}: got {}, wanted at most {}", what,
                      number, largest);
  }
}

int64_t output_size(const Operand& x, int dim, int64_t kernel, int64_t stride, int64_t padding,
                    int64_t dilation) {
  const int64_t span = dilation * (kernel - 1) + 1;
  const int64_t room = x.size(dim) + 2 * padding - span;
  check<ShapeError>(kernel >= 1 && room >= 0, x.site(),
                    "[conv2d] input {}: got {} with padding {}, wanted at least {} for kernel size "
                    "{} with dilation {}",
                    dim == 2 ? "height" : "width", x.size(dim), padding, span, kernel, dilation);
  return room / stride + 1;
}

ConvGeometry make_geometry(const Operand& x, const Operand& weight, const Operand& bias,
                           const Conv2dOptions& options) {
  check_floating("conv2d", x);
  check_same_kind("conv2d", x, weight);
  check_rank("conv2d", x, 4, "(N, C, H, W)");
  check<ShapeError>(weight.rank() == 4, x.site(),
                    "[conv2d] weight: got shape {}, wanted (O, C / groups, kH, kW)",
                    weight.shape());
  check<ShapeError>(weight.size(2) >= 1 && weight.size(3) >= 1, x.site(),
                    "[conv2d] kernel size: got ({}, {}) in weight {}, wanted 1 or more",
                    weight.size(2), weight.size(3), weight.shape());
  check_options(x, weight, options);
  if (bias.defined()) {
    check_bias_kind("conv2d", x, bias);
    check<ShapeError>(bias.shape() == Shape{weight.size(0)}, x.site(),
                      "[conv2d] bias: got shape {}, wanted ({},)", bias.shape(), weight.size(0));
  }
  ConvGeometry g{x.size(0),      x.size(1),      x.size(2), x.size(3), weight.size(0),
                 weight.size(2), weight.size(3), 0,         0,         options};
  g.out_height = output_size(x, 2, g.kernel_height, options.stride.height, options.padding.height,
                             options.dilation.height);
  g.out_width = output_size(x, 3, g.kernel_width, options.stride.width, options.padding.width,
                            options.dilation.width);
  check_countable("conv2d", "output", {g.batch, g.out_channels, g.out_height, g.out_width},
                  x.dtype(), x.site());
  return g;
}

void parameter_grads_cpu(const Tensor& dy, const Tensor& x, const ConvGeometry& geometry,
                         Tensor* dweight, Tensor* dbias) {
  if (dweight != nullptr) {
    conv2d_weight_grad_cpu(dy, x, geometry, *dweight);
  }
  if (dbias != nullptr) {
    conv2d_bias_grad_cpu(dy, *dbias);
  }
}

void parameter_grads(Backward& context, const Tensor& x, const Tensor& weight,
                     const ConvGeometry& geometry) {
  const Tensor& dy = context.grad();
  const DType dtype = compute_dtype(weight.dtype());
  Tensor dweight;
  if (context.needs(1)) {
    dweight = Tensor::empty(weight.shape(), dtype, weight.device(), weight.memory_format());
  }
  Tensor dbias = context.needs(2) ? context.overwrite(2, dtype) : Tensor();
  Tensor* const to_dweight = dweight.defined() ? &dweight : nullptr;
  Tensor* const to_dbias = dbias.defined() ? &dbias : nullptr;
  if (to_dweight == nullptr && to_dbias == nullptr) {
    return;
  }
  on_device(
      "conv2d", dy.device(), [&] { parameter_grads_cpu(dy, x, geometry, to_dweight, to_dbias); },
      [&] { conv2d_parameter_grads_cuda(dy, x, geometry, to_dweight, to_dbias); });
  if (to_dweight != nullptr) {
    context.give(1, std::move(dweight));
  }
}

void backward(Backward& context, const Tensor& x, const Tensor& weight,
              const ConvGeometry& geometry) {
  const Tensor& dy = context.grad();
  parameter_grads(context, x, weight, geometry);
  if (context.needs(0)) {
    Tensor dx = Tensor::empty_like(x);
    on_device(
        "conv2d", dy.device(), [&] { conv2d_data_grad_cpu(dy, weight, geometry, dx); },
        [&] { conv2d_data_grad_cuda(dy, weight, geometry, dx); });
    context.give(0, std::move(dx));
  }
}

}  // namespace

Tensor conv2d(const Operand& x, const Operand& weight, const Operand& bias, Conv2dOptions options) {
  const ConvGeometry geometry = make_geometry(x, weight, bias, options);
  const profile::Range range("conv2d");
  const Tensor pixels = primitives::relayout(x.tensor(), channels_last);
  const Tensor wide_bias = widened(bias.tensor());
  const bool on_cpu = x.device().type == DeviceType::CPU;
  const Tensor filters =
      primitives::relayout(weight.tensor(), on_cpu ? MemoryFormat::RowMajor : channels_last);
  Tensor y = Tensor::empty(
      {geometry.batch, geometry.out_channels, geometry.out_height, geometry.out_width}, x.dtype(),
      x.device(), channels_last);
  on_device(
      "conv2d", x.device(), [&] { conv2d_forward_cpu(pixels, filters, wide_bias, geometry, y); },
      [&] { conv2d_forward_cuda(pixels, filters, wide_bias, geometry, y); });
  if (Tape* tape = Tape::recording({&x, &weight, &bias})) {
    tape->record(
        "conv2d", {&x, &weight, &bias}, {&y},
        [saved_x = Saved(pixels), saved_weight = Saved(filters), geometry](Backward& context) {
          backward(context, saved_x.get(), saved_weight.get(), geometry);
        });
  }
  return y;
}

}  // namespace warptape
