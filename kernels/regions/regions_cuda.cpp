#include "core/primitives_cuda.h"
#include "kernels/regions/place_cuda.h"
#include "kernels/regions/regions_kernels.h"

namespace warptape {

void move_region_cuda(const StridedLoop<2>& loop, const Tensor& from, const Region& source,
                      Tensor& to, const Region& target, WriteMode mode) {
  dispatch_all(from.dtype(), [&]<class T>() {
    const T* in = from.data<T>() + source.first;
    T* out = to.mutable_data<T>() + target.first;
    if (mode == WriteMode::Accumulate) {
      primitives::on_cuda::add(gpu::current_stream(), loop, out, in);
    } else {
      primitives::on_cuda::copy(gpu::current_stream(), loop, out, in);
    }
  });
}

void place_region_cuda(const Tensor& from, const Region& source, Tensor& to, const Box& box,
                       double value) {
  dispatch_all(to.dtype(), [&]<class T>() {
    const T* in = from.data<T>() + source.first;
    T* out = to.mutable_data<T>();
    const bool aligned = simt::is_aligned16(in) && simt::is_aligned16(out);
    const int pack = aligned ? simt::pack_size<T> : 1;
    on_cuda::place(gpu::current_stream(),
                   place_plan(box, source, to.shape(), to.memory_format(), pack), in,
                   static_cast<T>(value), out);
  });
}

}  // namespace warptape
