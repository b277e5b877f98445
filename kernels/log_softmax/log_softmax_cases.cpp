#include <cmath>

#include "kernels/log_softmax/log_softmax.h"
#include "kernels/softmax/softmax_cases.h"

namespace warptape {

void log_softmax_cases(CaseTable& table) {
  add_softmax_cases(
      table, "log_softmax", [](const Operand& x, int dim) { return log_softmax(x, dim); },
      [](double x, double log_sum) { return x - log_sum; });
}

}  // namespace warptape
