#include <numeric>

#include "kernels/reduce/reduction_cases.h"
#include "kernels/sum/sum.h"

namespace warptape {

void sum_cases(CaseTable& table) {
  const auto run = [](const Operand& x, const std::vector<int>& dims, bool keepdim) {
    return sum(x, dims, keepdim);
  };
  add_reduction_cases(table, "sum", Fill::Normal, run, [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0);
  });
  table.measured.push_back(reduction_case("sum", -1, 0, run));
  table.measured.push_back(reduction_case("sum_dim0", 0, 0, run));
}

}  // namespace warptape
