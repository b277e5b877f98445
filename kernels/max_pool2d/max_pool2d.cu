#include "kernels/max_pool2d/max_pool2d_cuda.h"

#include "core/element_types.h"
#include "kernels/max_pool2d/max_pool2d.cuh"

namespace warptape::cuda {
namespace {

template <int E, class T, class Index>
void forward(gpu::StreamHandle stream, const PoolGeometry& g, bool with_relu, const T* x, T* y,
             Index* indices) {
  const pool::Windows w(g);
  launch(pool::max_forward<E, T, Index>,
         pool::config_of<E>("max_pool2d", stream, w, w.vertical.out_size, w.horizontal.out_size), w,
         with_relu, x, y, indices);
}

// Windows whose indices take 8 bytes are so large that packs would not be the gain.
template <class Index>
constexpr bool has_packs = sizeof(Index) == 1;

}  // namespace

template <class T, class Index>
void max_pool2d_forward(gpu::StreamHandle stream, const PoolGeometry& geometry, bool with_relu,
                        const T* x, T* y, Index* indices) {
  if constexpr (has_packs<Index>) {
    if (pool::fits_packs(geometry, x, y)) {
      forward<simt::pack_size<T>>(stream, geometry, with_relu, x, y, indices);
      return;
    }
  }
  forward<1>(stream, geometry, with_relu, x, y, indices);
}

template <class T, class Index>
void max_pool2d_backward(gpu::StreamHandle stream, const PoolGeometry& geometry, const T* dy,
                         const Index* indices, T* dx) {
  constexpr const char* name = "max_pool2d_backward";
  const pool::MaxSource<T, Index> source{dy, indices};
  if constexpr (has_packs<Index>) {
    if (pool::fits_packs(geometry, dy, dx)) {
      pool::run_backward<simt::pack_size<T>>(name, stream, geometry, source, dx);
      return;
    }
  }
  pool::run_backward<1>(name, stream, geometry, source, dx);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                   \
  template void max_pool2d_forward(gpu::StreamHandle, const PoolGeometry&, bool, const T*, T*, \
                                   uint8_t*);                                                  \
  template void max_pool2d_forward(gpu::StreamHandle, const PoolGeometry&, bool, const T*, T*, \
                                   int64_t*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                          \
  template void max_pool2d_backward(gpu::StreamHandle, const PoolGeometry&, const T*, \
                                    const uint8_t*, T*);                              \
  template void max_pool2d_backward(gpu::StreamHandle, const PoolGeometry&, const T*, \
                                    const int64_t*, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::cuda
