#include "kernels/mul/mul.h"
#include "kernels/pointwise/binary_cases.h"

namespace warptape {

void mul_cases(CaseTable& table) {
  add_binary_cases(
      table, "mul", Fill::Normal, [](const Operand& a, const Operand& b) { return mul(a, b); },
      [](double a, double b) { return a * b; });
}

}  // namespace warptape
