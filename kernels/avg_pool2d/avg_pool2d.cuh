#pragma once
#include "kernels/avg_pool2d/avg_window.h"
#include "kernels/pool/pool.cuh"

namespace warptape::pool {

__device__ inline AvgWindow avg_window(const Windows& w, int oh, int ow, bool count_include_pad) {
  return {avg_span(w.vertical, oh, count_include_pad),
          avg_span(w.horizontal, ow, count_include_pad)};
}

template <int E, class T>
__global__ void __launch_bounds__(block_threads, E == 8 ? 2 : 4)
    avg_forward(const Windows __grid_constant__ w, bool count_include_pad, const T* x, T* y) {
  const int out_height = w.vertical.out_size;
  const int out_width = w.horizontal.out_size;
  const Place out = own_place<E>(w, out_height, out_width);
  if (out.image >= w.images) {
    return;
  }
  double sums[E] = {};
  TapReader<E, T> reader(w, x, out, T(0));
  for (int64_t rest = int64_t{w.vertical.kernel} * w.horizontal.kernel; rest > 0;
       rest -= reader.batch) {
    reader.load(rest);
#pragma unroll
    for (int k = 0; k < reader.batch; ++k) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        sums[e] += static_cast<double>(reader.values[k][e]);
      }
    }
  }
  const double share = avg_window(w, out.row, out.column, count_include_pad).share();
  simt::Pack<T, E> mean;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    mean[e] = static_cast<T>(sums[e] * share);
  }
  const int64_t at = pixel_offset(w, out.image, out_height, out_width, out.row, out.column);
  simt::store_pack<E>(y + at + out.channel, mean);
}

template <class T>
struct AvgSource {
  const T* dy;
  bool count_include_pad;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(dy);
  }

  template <int E>
  struct Window {
    simt::Pack<Compute<T>, E> gradient;  // the same by each element
    __device__ simt::Pack<Compute<T>, E> operator()(int64_t) const { return gradient; }
  };

  template <int E>
  __device__ Window<E> load(const Windows& w, int oh, int ow, int64_t offset) const {
    Window<E> window{simt::cast_pack<Compute<T>>(simt::load_pack<E>(dy + offset))};
    const auto share = static_cast<Compute<T>>(avg_window(w, oh, ow, count_include_pad).share());
#pragma unroll
    for (int e = 0; e < E; ++e) {
      window.gradient[e] *= share;
    }
    return window;
  }
};

}  // namespace warptape::pool
