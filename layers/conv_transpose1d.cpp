#include "layers/conv_transpose1d.h"

#include "layers/convolution.h"

namespace warptape {
namespace {

ConvTranspose1dOptions of_op(const ConvTranspose1d::Options& options) {
  return {.stride = options.stride,
          .padding = options.padding,
          .output_padding = options.output_padding,
          .dilation = options.dilation,
          .groups = options.groups};
}

ConvolutionLayer described(const ConvTranspose1d::Options& options,
                           std::span<const WindowOptions> axes) {
  return {.name = "ConvTranspose1d",
          .in_channels = options.in_channels,
          .out_channels = options.out_channels,
          .kernel_size = {options.kernel_size},
          .axes = axes,
          .groups = options.groups,
          .bias = options.bias,
          .dtype = options.dtype,
          .output_padding = {options.output_padding}};
}

}  // namespace

ConvTranspose1d::ConvTranspose1d(Options options, const Site& site) : options_(options) {
  described(options, of_op(options).axes()).make(weight, bias, site);
}

void ConvTranspose1d::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor ConvTranspose1d::forward(const Operand& x) {
  return conv_transpose1d(weight.input(x), weight.operand(x.site()), bias, of_op(options_));
}

std::string ConvTranspose1d::settings() const {
  return described(options_, of_op(options_).axes()).settings();
}

}  // namespace warptape
