#include <numeric>

#include "kernels/reduce/reduction_cases.h"
#include "kernels/sum/sum.h"

namespace warptape {

void sum_cases(CaseTable& table) {
  add_reduction_cases(
      table, "sum", Fill::Normal,
      [](const Operand& x, const std::vector<int>& dims, bool keepdim) {
        return sum(x, dims, keepdim);
      },
      [](const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0);
      });
}

}  // namespace warptape
