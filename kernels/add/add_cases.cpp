#include "kernels/add/add.h"
#include "kernels/pointwise/binary_cases.h"

namespace warptape {

void add_cases(CaseTable& table) {
  add_binary_cases(
      table, "add", Fill::Normal, [](const Operand& a, const Operand& b) { return add(a, b); },
      [](double a, double b) { return a + b; });
}

}  // namespace warptape
