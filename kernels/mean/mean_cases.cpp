#include <numeric>

#include "kernels/mean/mean.h"
#include "kernels/reduce/reduction_cases.h"

namespace warptape {

void mean_cases(CaseTable& table) {
  add_reduction_cases(
      table, "mean", Fill::Normal,
      [](const Operand& x, const std::vector<int>& dims, bool keepdim) {
        return mean(x, dims, keepdim);
      },
      [](const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0) /
               static_cast<double>(values.size());
      });
}

}  // namespace warptape
