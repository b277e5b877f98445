#include "kernels/log/log.h"

#include <cmath>

#include "kernels/pointwise/unary_cases.h"

namespace warptape {

void log_cases(CaseTable& table) {
  add_unary_cases(
      table, "log", Fill::Positive, [](const Operand& x) { return log(x); },
      [](double x) { return std::log(x); });
}

}  // namespace warptape
