#include "layers/avg_pool2d.h"

#include <fmt/format.h>

namespace warptape {

Tensor AvgPool2d::forward(const Operand& x) {
  return avg_pool2d(x, options_);
}

std::string AvgPool2d::settings() const {
  const Pair stride = options_.stride == Pair(0) ? options_.kernel_size : options_.stride;
  std::string text =
      fmt::format("kernel_size={}, stride={}, padding={}", options_.kernel_size.to_short_string(),
                  stride.to_short_string(), options_.padding.to_short_string());
  text += options_.ceil_mode ? ", ceil_mode=True" : "";
  return text + (options_.count_include_pad ? "" : ", count_include_pad=False");
}

}  // namespace warptape
