#include "layers/conv_transpose2d.h"

#include "layers/convolution.h"

namespace warptape {
namespace {

ConvTranspose2dOptions of_op(const ConvTranspose2d::Options& options) {
  return {.stride = options.stride,
          .padding = options.padding,
          .output_padding = options.output_padding,
          .dilation = options.dilation,
          .groups = options.groups};
}

ConvolutionLayer described(const ConvTranspose2d::Options& options,
                           std::span<const WindowOptions> axes) {
  return {.name = "ConvTranspose2d",
          .in_channels = options.in_channels,
          .out_channels = options.out_channels,
          .kernel_size = {options.kernel_size.height, options.kernel_size.width},
          .axes = axes,
          .groups = options.groups,
          .bias = options.bias,
          .dtype = options.dtype,
          .output_padding = {options.output_padding.height, options.output_padding.width}};
}

}  // namespace

ConvTranspose2d::ConvTranspose2d(Options options, const Site& site) : options_(options) {
  described(options, of_op(options).axes()).make(weight, bias, site);
}

void ConvTranspose2d::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor ConvTranspose2d::forward(const Operand& x) {
  return conv_transpose2d(weight.input(x), weight.operand(x.site()), bias, of_op(options_));
}

std::string ConvTranspose2d::settings() const {
  return described(options_, of_op(options_).axes()).settings();
}

}  // namespace warptape
