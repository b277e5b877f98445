#include "kernels/argmax/argmax_cuda.h"

#include "core/primitives.h"
#include "kernels/argmax/argmax_kernels.h"

namespace warptape {

void argmax_cuda(const Tensor& x, const ReductionDims& dims, Tensor& y) {
  // The kernel counts places in memory order, which is the order of the flattened tensor only if
  // that is row-major.
  const bool flattened = dims.count == x.numel();
  const Tensor from = flattened ? primitives::relayout(x, MemoryFormat::RowMajor) : x;
  const ReducePlan<1> plan =
      reduce_plan_of<1>(make_reduce_loops<1>(from.shape(), from.memory_format(), dims.reduced,
                                             kept_strides(dims), {from.strides()}),
                        {&from});
  dispatch_floating(x.dtype(), [&]<class T>() {
    using Best = on_cuda::Best<Compute<T>>;
    constexpr auto words = static_cast<int64_t>(sizeof(Best) / sizeof(int64_t));
    Tensor partials = Tensor::empty({plan.partials * words}, int64, x.device());
    on_cuda::argmax(gpu::current_stream(), plan, from.data<T>(), y.mutable_data<int64_t>(),
                    reinterpret_cast<Best*>(partials.mutable_data<int64_t>()));
  });
}

}  // namespace warptape
