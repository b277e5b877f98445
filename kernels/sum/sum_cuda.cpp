#include "kernels/sum/sum_cuda.h"

#include "core/element_types.h"
#include "kernels/sum/sum_kernels.h"

namespace warptape {

void sum_forward_cuda(const char* name, const Tensor& x, const ReductionDims& dims, double scale,
                      Tensor& y) {
  const ReducePlan<1> plan =
      reduce_plan_of<1>(make_reduce_loops<1>(x.shape(), x.memory_format(), dims.reduced,
                                             kept_strides(dims), {x.strides()}),
                        {&x});
  Tensor partials = Tensor::empty({plan.partials}, float64, x.device());
  dispatch_floating(x.dtype(), [&]<class T>() {
    on_cuda::sum_forward(name, gpu::current_stream(), plan, x.data<T>(), scale, y.mutable_data<T>(),
                         partials.mutable_data<double>());
  });
}

void sum_backward_cuda(const char* name, const Tensor& dy, const ReductionDims& dims, double scale,
                       GradientTarget dx) {
  Tensor& to = dx.buffer;
  const auto loop =
      make_strided_loop<2>(to.shape(), to.memory_format(), {to.strides(), kept_strides(dims)});
  dispatch_floating(dy.dtype(), [&]<class T>() {
    on_cuda::sum_backward(name, gpu::current_stream(), loop, dy.data<T>(), scale,
                          dx.mode == WriteMode::Accumulate, to.mutable_data<T>());
  });
}

template <class T>
void sum_matrix_cuda(const char* name, const T* x, int64_t rows, int64_t columns, bool over_rows,
                     Compute<T>* sums) {
  const Shape shape{rows, columns};
  const auto loops = make_reduce_loops<1>(
      shape, MemoryFormat::RowMajor, DimMask{over_rows, !over_rows},
      over_rows ? Strides{0, 1} : Strides{1, 0}, {strides_of(shape, MemoryFormat::RowMajor)});
  const bool aligned[1] = {elementwise::misalignment(x) == 0};
  const ReducePlan<1> plan = reduce_plan<1>(loops, 16 / sizeof(T), aligned);
  Tensor partials = Tensor::empty({plan.partials}, float64, cuda);
  on_cuda::sum_in_compute(name, gpu::current_stream(), plan, x, sums,
                          partials.mutable_data<double>());
}

#define WARPTAPE_INSTANTIATE(dtype, T, name) \
  template void sum_matrix_cuda(const char*, const T*, int64_t, int64_t, bool, Compute<T>*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape
