#include "kernels/avg_pool2d/avg_pool2d.cuh"

#include "core/element_types.h"
#include "kernels/avg_pool2d/avg_pool2d_cuda.h"

namespace warptape::on_cuda {
namespace {

template <int E, class T>
void forward(gpu::StreamHandle stream, const PoolGeometry& g, bool count_include_pad, const T* x,
             T* y) {
  const pool::Windows w(g);
  launch(pool::avg_forward<E, T>,
         pool::config_of<E>("avg_pool2d", stream, w, w.vertical.out_size, w.horizontal.out_size), w,
         count_include_pad, x, y);
}

}  // namespace

template <class T>
void avg_pool2d_forward(gpu::StreamHandle stream, const PoolGeometry& geometry,
                        bool count_include_pad, const T* x, T* y) {
  if (pool::fits_packs(geometry, x, y)) {
    forward<simt::pack_size<T>>(stream, geometry, count_include_pad, x, y);
  } else {
    forward<1>(stream, geometry, count_include_pad, x, y);
  }
}

template <class T>
void avg_pool2d_backward(gpu::StreamHandle stream, const PoolGeometry& geometry,
                         bool count_include_pad, const T* dy, T* dx) {
  constexpr const char* name = "avg_pool2d_backward";
  const pool::AvgSource<T> source{dy, count_include_pad};
  if (pool::fits_packs(geometry, dy, dx)) {
    pool::run_backward<simt::pack_size<T>>(name, stream, geometry, source, dx);
  } else {
    pool::run_backward<1>(name, stream, geometry, source, dx);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                    \
  template void avg_pool2d_forward(gpu::StreamHandle, const PoolGeometry&, bool, const T*, T*); \
  template void avg_pool2d_backward(gpu::StreamHandle, const PoolGeometry&, bool, const T*, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
