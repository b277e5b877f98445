#include "kernels/reduce/dims.h"

#include "core/check.h"

namespace warptape {

ReductionDims reduction_dims(const char* op, const Operand& x, const std::vector<int>& dims,
                             bool keepdim) {
  ReductionDims result;
  for (int dim : dims) {
    const auto d = static_cast<size_t>(normalized_dim(dim, x.rank(), op, x.site()));
    check<ShapeError>(!result.reduced[d], x.site(), "[{}] dims: got dimension {} twice", op, dim);
    result.reduced[d] = true;
  }
  for (int d = 0; d < x.rank(); ++d) {
    const bool reduced = dims.empty() || result.reduced[static_cast<size_t>(d)];
    result.reduced[static_cast<size_t>(d)] = reduced;
    result.kept.append(reduced ? 1 : x.shape()[d]);
    result.count *= reduced ? x.shape()[d] : 1;
    if (!reduced || keepdim) {
      result.output.append(reduced ? 1 : x.shape()[d]);
    }
  }
  return result;
}

Strides kept_strides(const ReductionDims& dims) {
  return broadcast_strides(dims.kept, MemoryFormat::RowMajor, dims.kept);
}

}  // namespace warptape
