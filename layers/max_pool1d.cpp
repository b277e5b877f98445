#include "layers/max_pool1d.h"

#include <fmt/format.h>

namespace warptape {

Tensor MaxPool1d::forward(const Operand& x) {
  return max_pool1d(x, options_);
}

std::string MaxPool1d::settings() const {
  return fmt::format("kernel_size={}, stride={}, padding={}, dilation={}, ceil_mode={}",
                     options_.kernel_size,
                     options_.stride == 0 ? options_.kernel_size : options_.stride,
                     options_.padding, options_.dilation, options_.ceil_mode ? "True" : "False");
}

Tensor AdaptiveMaxPool1d::forward(const Operand& x) {
  return adaptive_max_pool1d(x, output_size_);
}

std::string AdaptiveMaxPool1d::settings() const {
  return fmt::format("output_size={}", output_size_);
}

}  // namespace warptape
