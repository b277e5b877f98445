#include "kernels/flatten/flatten.h"

#include "core/check.h"
#include "kernels/reshape/reshape.h"

namespace warptape {

Tensor flatten(const Operand& x, int start_dim, int end_dim) {
  check_defined("flatten", x);
  if (x.rank() == 0) {
    return reshape(x, {1});
  }
  const int start = normalized_dim(start_dim, x.rank(), "flatten", x.site());
  const int end = normalized_dim(end_dim, x.rank(), "flatten", x.site());
  check<ShapeError>(start <= end, x.site(), "[flatten] dims: got start {} after end {}", start_dim,
                    end_dim);
  std::vector<int64_t> sizes(x.shape().begin(), x.shape().begin() + start);
  int64_t merged = 1;
  for (int d = start; d <= end; ++d) {
    merged *= x.shape()[d];
  }
  sizes.push_back(merged);
  sizes.insert(sizes.end(), x.shape().begin() + end + 1, x.shape().end());
  return reshape(x, sizes);
}

}  // namespace warptape
