#include "kernels/relu_max_pool2d/relu_max_pool2d.h"

#include <algorithm>

#include "kernels/max_pool2d/max_pool_cases.h"

namespace warptape {

void relu_max_pool2d_cases(CaseTable& table) {
  add_max_pool_cases(
      table, "relu_max_pool2d",
      [](const Operand& x, MaxPool2dOptions options) { return relu_max_pool2d(x, options); },
      [](const std::vector<double>& v, int64_t) {
        return std::max(0.0, *std::max_element(v.begin(), v.end()));
      });
}

}  // namespace warptape
