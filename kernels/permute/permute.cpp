#include "kernels/permute/permute.h"

#include <algorithm>

#include "core/check.h"
#include "kernels/regions/exchange.h"

namespace warptape {

Tensor permute(const Operand& x, const std::vector<int>& dims) {
  check_defined("permute", x);
  std::vector<int> order;
  for (const int dim : dims) {
    order.push_back(normalized_dim(dim, x.rank(), "permute", x.site()));
  }
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  const bool repeats = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  check<ShapeError>(static_cast<int>(dims.size()) == x.rank() && !repeats, x.site(),
                    "[permute] dims: got ({}), wanted each of the {} dimensions of {} once",
                    fmt::join(dims, ", "), x.rank(), x.shape());
  return exchange_dims("permute", x, order);
}

}  // namespace warptape
