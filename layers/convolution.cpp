#include "layers/convolution.h"

#include <algorithm>

#include "core/check.h"
#include "kernels/geometry/axis_text.h"
#include "layers/init.h"

namespace warptape {
void ConvolutionLayer::make(Weight& weight, Parameter& bias_of_layer, const Site& site) const {
  const auto positive = [&](const char* option, int64_t value) {
    check<ValueError>(value >= 1, site, "[{}] {}: got {}, wanted 1 or more", name, option, value);
  };
  positive("in_channels", in_channels);
  positive("out_channels", out_channels);
  positive("kernel_size", *std::min_element(kernel_size.begin(), kernel_size.end()));
  positive("groups", groups);
  check_window_options(name, axes, site);
  check<ValueError>(in_channels % groups == 0 && out_channels % groups == 0, site,
                    "[{}] groups: got {}, wanted a divisor of {} input and {} output channels",
                    name, groups, in_channels, out_channels);
  Shape filters{out_channels, in_channels / groups};
  if (!output_padding.empty()) {
    check_transposed_options(name, axes, output_padding, site);
    filters = {in_channels, out_channels / groups};
  }
  for (int64_t size : kernel_size) {
    filters.append(size);
  }
  check_countable(name, "weight", filters, dtype, site);
  weight = Weight(Tensor::empty(filters, dtype));
  if (bias) {
    bias_of_layer = Parameter(Tensor::empty({out_channels}, dtype));
  }
  init::torch_default(weight, bias_of_layer);
}

std::string ConvolutionLayer::settings() const {
  const auto stride = [](const WindowOptions& axis) { return axis.stride; };
  const auto dilation = [](const WindowOptions& axis) { return axis.dilation; };
  std::vector<AxisPadding> padding;
  for (const WindowOptions& axis : axes) {
    padding.push_back(axis.padding);
  }
  std::string text = fmt::format("{}, {}, kernel_size={}, stride={}", in_channels, out_channels,
                                 tuple_of(kernel_size), tuple_of(axes, stride));
  const auto is_plain = [](const AxisPadding& axis) { return axis == AxisPadding{}; };
  if (!std::all_of(padding.begin(), padding.end(), is_plain)) {
    text += ", padding=" + to_string(padding);
  }
  const auto is_dense = [](const WindowOptions& axis) { return axis.dilation == 1; };
  if (!std::all_of(axes.begin(), axes.end(), is_dense)) {
    text += ", dilation=" + tuple_of(axes, dilation);
  }
  if (std::count(output_padding.begin(), output_padding.end(), 0) !=
      static_cast<int64_t>(output_padding.size())) {
    text += ", output_padding=" + tuple_of(output_padding);
  }
  if (groups != 1) {
    text += fmt::format(", groups={}", groups);
  }
  return text + (bias ? "" : ", bias=False");
}

}  // namespace warptape
