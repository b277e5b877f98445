#include "kernels/div/div.h"
#include "kernels/pointwise/binary_cases.h"

namespace warptape {

void div_cases(CaseTable& table) {
  add_binary_cases(
      table, "div", Fill::AwayFromZero,
      [](const Operand& a, const Operand& b) { return div(a, b); },
      [](double a, double b) { return a / b; });
}

}  // namespace warptape
