#include <cmath>

#include "kernels/softmax/softmax.h"
#include "kernels/softmax/softmax_cases.h"

namespace warptape {

void softmax_cases(CaseTable& table) {
  add_softmax_cases(
      table, "softmax", [](const Operand& x, int dim) { return softmax(x, dim); },
      [](double x, double log_sum) { return std::exp(x - log_sum); });
}

}  // namespace warptape
