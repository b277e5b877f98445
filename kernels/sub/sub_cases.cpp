#include "kernels/pointwise/binary_cases.h"
#include "kernels/sub/sub.h"

namespace warptape {

void sub_cases(CaseTable& table) {
  add_binary_cases(
      table, "sub", Fill::Normal, [](const Operand& a, const Operand& b) { return sub(a, b); },
      [](double a, double b) { return a - b; });
}

}  // namespace warptape
