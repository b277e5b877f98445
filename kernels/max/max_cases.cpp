#include <algorithm>

#include "kernels/max/max.h"
#include "kernels/reduce/reduction_cases.h"

namespace warptape {

void max_cases(CaseTable& table) {
  const auto run = [](const Operand& x, const std::vector<int>& dims, bool keepdim) {
    return max(x, dims, keepdim);
  };
  add_reduction_cases(table, "max", Fill::Distinct, run, [](const std::vector<double>& values) {
    return *std::max_element(values.begin(), values.end());
  });
  table.errors.push_back({"empty",
                          [] {
                            max(Tensor::zeros({0, 3}), {0});
                          },
                          {"[max]", "(0, 3)", "no element"}});
  // Backward counts the largest ones first.
  table.measured.push_back(reduction_case("max", -1, 2, run));
  table.measured.push_back(reduction_case("max_dim0", 0, 2, run));
}

}  // namespace warptape
