#include "kernels/max_pool2d/max_pool2d_cuda.h"

#include "core/device/arrivals.h"
#include "core/element_types.h"
#include "kernels/max_pool2d/max_pool2d.cuh"
#include "kernels/max_pool2d/max_pool2d_summed.cuh"

namespace warptape::on_cuda {
namespace {

constexpr const char* backward_name = "max_pool2d_backward";

template <int E, class T, class Index>
void forward(gpu::StreamHandle stream, const PoolGeometry& g, bool with_relu, bool by_rows,
             const T* x, T* y, Index* indices) {
  const pool::Windows w(g);
  if (by_rows) {
    launch(pool::max_forward_rows<E, T, Index>,
           pool::RowsTile<E, T>::config("max_pool2d", stream, w), w, with_relu, x, y, indices);
    return;
  }
  launch(pool::max_forward<E, T, Index>,
         pool::config_of<E>("max_pool2d", stream, w, w.vertical.out_size, w.horizontal.out_size), w,
         with_relu, x, y, indices);
}

template <int E, class T, class Index>
void backward(gpu::StreamHandle stream, const PoolGeometry& g, bool by_rows, const T* dy,
              const Index* indices, T* dx) {
  if (by_rows) {
    const pool::Windows w(g);
    launch(pool::max_backward_rows<E, T, Index>,
           pool::RowsTile<E, T>::config(backward_name, stream, w), w, dy, indices, dx);
    return;
  }
  pool::run_backward<E>(backward_name, stream, g, pool::MaxSource<T, Index>{dy, indices}, dx);
}

// Windows whose indices take 8 bytes are so large that packs would not be the gain.
template <class Index>
constexpr bool has_packs = sizeof(Index) == 1;

}  // namespace

template <class T, class Index>
void max_pool2d_forward(gpu::StreamHandle stream, const PoolGeometry& geometry, bool with_relu,
                        bool by_rows, const T* x, T* y, Index* indices) {
  if constexpr (has_packs<Index>) {
    if (pool::fits_packs(geometry, x, by_rows ? x : y)) {
      forward<simt::pack_size<T>>(stream, geometry, with_relu, by_rows, x, y, indices);
      return;
    }
  }
  forward<1>(stream, geometry, with_relu, by_rows, x, y, indices);
}

template <class T, class Index>
void max_pool2d_backward(gpu::StreamHandle stream, const PoolGeometry& geometry, bool by_rows,
                         const T* dy, const Index* indices, T* dx) {
  if constexpr (has_packs<Index>) {
    if (pool::fits_packs(geometry, by_rows ? dx : dy, dx)) {
      backward<simt::pack_size<T>>(stream, geometry, by_rows, dy, indices, dx);
      return;
    }
  }
  backward<1>(stream, geometry, by_rows, dy, indices, dx);
}

template <class T>
int64_t max_pool2d_partial_sums(const PoolGeometry& geometry, bool by_rows, const T* dy,
                                const T* dx) {
  using Sums = pool::SummedTiles<simt::pack_size<T>, T>;
  const pool::Windows w(geometry);
  const bool serves = pool::fits_packs(geometry, by_rows ? dx : dy, dx) &&
                      Sums::channel_tiles(w) <= gpu::most_arrival_counters;
  return serves ? int64_t{Sums::blocks(w)} * Sums::channels : 0;
}

template <class T>
void max_pool2d_backward_summed(gpu::StreamHandle stream, const PoolGeometry& geometry,
                                bool by_rows, const T* dy, const uint8_t* indices, T* dx,
                                float* sums, double* partials) {
  constexpr int E = simt::pack_size<T>;
  using Sums = pool::SummedTiles<E, T>;
  const pool::Windows w(geometry);
  launch(pool::max_backward_summed<E, T>,
         {.grid = dim3(Sums::blocks(w)),
          .block = dim3(pool::block_threads),
          .stream = stream,
          .name = backward_name},
         w, by_rows, dy, indices, dx, sums, partials,
         gpu::arrival_counters(stream, Sums::channel_tiles(w)));
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void max_pool2d_forward(gpu::StreamHandle, const PoolGeometry&, bool, bool, const T*, \
                                   T*, uint8_t*);                                                \
  template void max_pool2d_forward(gpu::StreamHandle, const PoolGeometry&, bool, bool, const T*, \
                                   T*, int64_t*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                \
  template void max_pool2d_backward(gpu::StreamHandle, const PoolGeometry&, bool, const T*, \
                                    const uint8_t*, T*);                                    \
  template void max_pool2d_backward(gpu::StreamHandle, const PoolGeometry&, bool, const T*, \
                                    const int64_t*, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(T)                                                                    \
  template int64_t max_pool2d_partial_sums(const PoolGeometry&, bool, const T*, const T*);         \
  template void max_pool2d_backward_summed(gpu::StreamHandle, const PoolGeometry&, bool, const T*, \
                                           const uint8_t*, T*, float*, double*);
WARPTAPE_INSTANTIATE(float)
WARPTAPE_INSTANTIATE(simt::bfloat16)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
