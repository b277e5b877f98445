#include "kernels/argmax/argmax.h"

#include "core/check.h"
#include "core/device/on_device.h"
#include "core/profile.h"
#include "kernels/argmax/argmax_kernels.h"

namespace warptape {

Tensor argmax(const Operand& x, std::optional<int> dim, bool keepdim) {
  check_floating("argmax", x);
  const ReductionDims reduction =
      reduction_dims("argmax", x, dim ? std::vector<int>{*dim} : std::vector<int>{}, keepdim);
  check<ShapeError>(reduction.count > 0, x.site(), "[argmax] got shape {}: no element to take",
                    x.shape());
  Strides index_strides = strides_of(x.shape(), MemoryFormat::RowMajor);
  if (dim) {
    const int d = normalized_dim(*dim, x.rank(), "argmax", x.site());
    index_strides = {};
    index_strides[static_cast<size_t>(d)] = 1;
  }
  const profile::Range range("argmax");
  Tensor y = Tensor::empty(reduction.kept, int64, x.device());
  on_device(
      "argmax", x.device(), [&] { argmax_cpu(x.tensor(), reduction, index_strides, y); },
      [&] { argmax_cuda(x.tensor(), reduction, y); });
  return y.view(reduction.output);
}

}  // namespace warptape
