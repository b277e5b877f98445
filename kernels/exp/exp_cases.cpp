#include "kernels/exp/exp.h"

#include <cmath>

#include "kernels/pointwise/unary_cases.h"

namespace warptape {

void exp_cases(CaseTable& table) {
  add_unary_cases(
      table, "exp", Fill::Normal, [](const Operand& x) { return exp(x); },
      [](double x) { return std::exp(x); });
}

}  // namespace warptape
