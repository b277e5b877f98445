#include "kernels/mean/mean.h"

#include "kernels/sum/sum_kernels.h"

namespace warptape {

Tensor mean(const Operand& x, const std::vector<int>& dims, bool keepdim) {
  check_floating("mean", x);
  const ReductionDims reduction = reduction_dims("mean", x, dims, keepdim);
  return scaled_sum("mean", x, reduction, 1.0 / static_cast<double>(reduction.count));
}

}  // namespace warptape
