#include "layers/avg_pool1d.h"

#include <fmt/format.h>

namespace warptape {

Tensor AvgPool1d::forward(const Operand& x) {
  return avg_pool1d(x, options_);
}

std::string AvgPool1d::settings() const {
  std::string text =
      fmt::format("kernel_size=({},), stride=({},), padding=({},)", options_.kernel_size,
                  options_.stride == 0 ? options_.kernel_size : options_.stride, options_.padding);
  text += options_.ceil_mode ? ", ceil_mode=True" : "";
  return text + (options_.count_include_pad ? "" : ", count_include_pad=False");
}

Tensor AdaptiveAvgPool1d::forward(const Operand& x) {
  return adaptive_avg_pool1d(x, output_size_);
}

std::string AdaptiveAvgPool1d::settings() const {
  return fmt::format("output_size={}", output_size_);
}

}  // namespace warptape
