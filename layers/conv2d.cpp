#include "layers/conv2d.h"

#include "core/check.h"
#include "kernels/geometry/conv_geometry.h"
#include "layers/init.h"

namespace warptape {
namespace {

Conv2dOptions of_op(const Conv2d::Options& options) {
  return {.stride = options.stride,
          .padding = options.padding,
          .dilation = options.dilation,
          .groups = options.groups};
}

}  // namespace

Conv2d::Conv2d(Options options, const Site& site) : options_(options) {
  const auto positive = [&](const char* name, int64_t value) {
    check<ValueError>(value >= 1, site, "[Conv2d] {}: got {}, wanted 1 or more", name, value);
  };
  positive("in_channels", options.in_channels);
  positive("out_channels", options.out_channels);
  positive("kernel_size", std::min(options.kernel_size.height, options.kernel_size.width));
  positive("groups", options.groups);
  check_window_options("Conv2d", of_op(options).axes(), site);
  check<ValueError>(
      options.in_channels % options.groups == 0 && options.out_channels % options.groups == 0, site,
      "[Conv2d] groups: got {}, wanted a divisor of {} input and {} output channels",
      options.groups, options.in_channels, options.out_channels);
  const Shape filters{options.out_channels, options.in_channels / options.groups,
                      options.kernel_size.height, options.kernel_size.width};
  check_countable("Conv2d", "weight", filters, options.dtype, site);
  weight = Weight(Tensor::empty(filters, options.dtype));
  if (options.bias) {
    bias = Parameter(Tensor::empty({options.out_channels}, options.dtype));
  }
  init::torch_default(weight, bias);
}

void Conv2d::fields(Visitor& visit) {
  visit("weight", weight)("bias", bias);
}

Tensor Conv2d::forward(const Operand& x) {
  return conv2d(weight.input(x), weight.operand(x.site()), bias, of_op(options_));
}

std::string Conv2d::settings() const {
  std::string text =
      fmt::format("{}, {}, kernel_size={}, stride={}", options_.in_channels, options_.out_channels,
                  options_.kernel_size.to_string(), options_.stride.to_string());
  if (options_.padding != Padding2d(0)) {
    text += ", padding=" + options_.padding.to_string();
  }
  if (!(options_.dilation == Pair(1))) {
    text += ", dilation=" + options_.dilation.to_string();
  }
  if (options_.groups != 1) {
    text += fmt::format(", groups={}", options_.groups);
  }
  return text + (options_.bias ? "" : ", bias=False");
}

}  // namespace warptape
