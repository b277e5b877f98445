#include "layers/conv2d.h"

#include "layers/convolution.h"

namespace warptape {
namespace {

Conv2dOptions of_op(const Conv2d::Options& options) {
  return {.stride = options.stride,
          .padding = options.padding,
          .dilation = options.dilation,
          .groups = options.groups};
}

ConvolutionLayer described(const Conv2d::Options& options, std::span<const WindowOptions> axes) {
  return {.name = "Conv2d",
          .in_channels = options.in_channels,
          .out_channels = options.out_channels,
          .kernel_size = {options.kernel_size.height, options.kernel_size.width},
          .axes = axes,
          .groups = options.groups,
          .bias = options.bias,
          .dtype = options.dtype};
}

}  // namespace

Conv2d::Conv2d(Options options, const Site& site) : options_(options) {
  described(options, of_op(options).axes()).make(weight, bias, site);
}

void Conv2d::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor Conv2d::forward(const Operand& x) {
  return conv2d(weight.input(x), weight.operand(x.site()), bias, of_op(options_));
}

std::string Conv2d::settings() const {
  return described(options_, of_op(options_).axes()).settings();
}

}  // namespace warptape
