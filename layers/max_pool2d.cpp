#include "layers/max_pool2d.h"

#include <fmt/format.h>

namespace warptape {

Tensor MaxPool2d::forward(const Operand& x) {
  return max_pool2d(x, options_);
}

std::string MaxPool2d::settings() const {
  const Pair stride = options_.stride == Pair(0) ? options_.kernel_size : options_.stride;
  return fmt::format("kernel_size={}, stride={}, padding={}, dilation={}, ceil_mode={}",
                     options_.kernel_size.to_short_string(), stride.to_short_string(),
                     options_.padding.to_short_string(), options_.dilation.to_short_string(),
                     options_.ceil_mode ? "True" : "False");
}

}  // namespace warptape
