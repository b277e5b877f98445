#include "layers/conv1d.h"

#include "layers/convolution.h"

namespace warptape {
namespace {

Conv1dOptions of_op(const Conv1d::Options& options) {
  return {.stride = options.stride,
          .padding = options.padding,
          .dilation = options.dilation,
          .groups = options.groups};
}

ConvolutionLayer described(const Conv1d::Options& options, std::span<const WindowOptions> axes) {
  return {.name = "Conv1d",
          .in_channels = options.in_channels,
          .out_channels = options.out_channels,
          .kernel_size = {options.kernel_size},
          .axes = axes,
          .groups = options.groups,
          .bias = options.bias,
          .dtype = options.dtype};
}

}  // namespace

Conv1d::Conv1d(Options options, const Site& site) : options_(options) {
  described(options, of_op(options).axes()).make(weight, bias, site);
}

void Conv1d::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor Conv1d::forward(const Operand& x) {
  return conv1d(weight.input(x), weight.operand(x.site()), bias, of_op(options_));
}

std::string Conv1d::settings() const {
  return described(options_, of_op(options_).axes()).settings();
}

}  // namespace warptape
