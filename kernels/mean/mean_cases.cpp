#include <numeric>

#include "kernels/mean/mean.h"
#include "kernels/reduce/reduction_cases.h"

namespace warptape {

void mean_cases(CaseTable& table) {
  const auto run = [](const Operand& x, const std::vector<int>& dims, bool keepdim) {
    return mean(x, dims, keepdim);
  };
  add_reduction_cases(table, "mean", Fill::Normal, run, [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  });
  table.measured.push_back(reduction_case("mean", -1, 0, run));
}

}  // namespace warptape
