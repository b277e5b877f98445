#include "kernels/transpose/transpose.h"

#include <numeric>
#include <utility>

#include "kernels/regions/exchange.h"

namespace warptape {

Tensor transpose(const Operand& x, int dim0, int dim1) {
  check_defined("transpose", x);
  const int first = normalized_dim(dim0, x.rank(), "transpose", x.site());
  const int second = normalized_dim(dim1, x.rank(), "transpose", x.site());
  std::vector<int> dims(static_cast<size_t>(x.rank()));
  std::iota(dims.begin(), dims.end(), 0);
  std::swap(dims[static_cast<size_t>(first)], dims[static_cast<size_t>(second)]);
  return exchange_dims("transpose", x, dims);
}

}  // namespace warptape
