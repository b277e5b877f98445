#include "kernels/relu/relu.h"

#include <algorithm>

#include "kernels/pointwise/unary_cases.h"

namespace warptape {

void relu_cases(CaseTable& table) {
  add_unary_cases(
      table, "relu", Fill::AwayFromZero, [](const Operand& x) { return relu(x); },
      [](double x) { return std::max(x, 0.0); });
}

}  // namespace warptape
