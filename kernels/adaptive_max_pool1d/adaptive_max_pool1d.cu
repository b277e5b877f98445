#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/simt/packs.cuh"
#include "kernels/adaptive_max_pool1d/adaptive_max_pool1d_cuda.h"

namespace warptape::on_cuda {
namespace {

constexpr unsigned threads = 256;

// A thread's pack of E channels at a place of a line, and the line it reads.
template <int E>
struct Own {
  int64_t place, in_line, other_line, channel;

  // places: of a line; others: of the lines that it reads.
  __device__ Own(int64_t places, int64_t others, int64_t channels) {
    const int64_t own = int64_t{blockIdx.x} * threads + threadIdx.x;
    const int64_t packs = channels / E;
    place = own / packs;
    in_line = place % places;
    other_line = place / places * others;
    channel = own % packs * E;
  }
};

template <int E, class T>
__global__ void __launch_bounds__(threads, 4)
    forward_kernel(const AdaptiveWindows __grid_constant__ windows, int64_t batch, int64_t channels,
                   const T* x, T* y, int64_t* indices) {
  const Own<E> own(windows.windows, windows.size, channels);
  if (own.place >= batch * windows.windows) {
    return;
  }
  const T* const line = x + own.other_line * channels + own.channel;
  const int64_t begin = windows.begin(own.in_line);
  const int64_t end = windows.end(own.in_line);
  simt::Pack<T, E> best = simt::load_pack<E>(line + begin * channels);
  simt::Pack<int64_t, E> index = simt::repeat_pack<E>(begin);
  for (int64_t j = begin + 1; j < end; ++j) {
    const auto values = simt::load_pack<E>(line + j * channels);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      const auto value = static_cast<Compute<T>>(values[e]);
      const auto old = static_cast<Compute<T>>(best[e]);
      // A NaN wins, and nothing replaces it.
      const bool larger = !(value <= old) && old == old;
      best[e] = larger ? values[e] : best[e];
      index[e] = larger ? j : index[e];
    }
  }
  const int64_t at = own.place * channels + own.channel;
  simt::store_pack<E>(y + at, best);
  simt::store_pack<E>(indices + at, index);
}

template <int E, class T>
__global__ void __launch_bounds__(threads, 4)
    backward_kernel(const AdaptiveWindows __grid_constant__ windows, int64_t batch,
                    int64_t channels, const T* dy, const int64_t* indices, T* dx) {
  const Own<E> own(windows.size, windows.windows, channels);
  if (own.place >= batch * windows.size) {
    return;
  }
  const AdaptiveWindows covering = windows.inverse();
  double sums[E] = {};
  const int64_t end = covering.end(own.in_line);
  for (int64_t window = covering.begin(own.in_line); window < end; ++window) {
    const int64_t at = (own.other_line + window) * channels + own.channel;
    const auto gradients = simt::load_pack<E>(dy + at);
    const auto index = simt::load_pack<E>(indices + at);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      sums[e] += index[e] == own.in_line ? static_cast<double>(gradients[e]) : 0.0;
    }
  }
  simt::Pack<T, E> results;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    results[e] = static_cast<T>(sums[e]);
  }
  simt::store_pack<E>(dx + own.place * channels + own.channel, results);
}

LaunchConfig config_of(const char* name, gpu::StreamHandle stream, int64_t packs) {
  return {.grid = dim3(static_cast<unsigned>((packs + threads - 1) / threads)),
          .block = dim3(threads),
          .stream = stream,
          .name = name};
}

template <class T>
bool fits_packs(int64_t channels, const T* in, const T* out, const int64_t* indices) {
  return channels % simt::pack_size<T> == 0 && simt::is_aligned16(in) && simt::is_aligned16(out) &&
         simt::is_aligned16(indices);
}

}  // namespace

template <class T>
void adaptive_max_pool1d_forward(gpu::StreamHandle stream, const AdaptiveWindows& windows,
                                 int64_t batch, int64_t channels, const T* x, T* y,
                                 int64_t* indices) {
  const int64_t results = batch * windows.windows * channels;
  if (results == 0) {
    return;
  }
  constexpr int pack = simt::pack_size<T>;
  constexpr const char* name = "adaptive_max_pool1d";
  if (fits_packs(channels, x, y, indices)) {
    launch(forward_kernel<pack, T>, config_of(name, stream, results / pack), windows, batch,
           channels, x, y, indices);
  } else {
    launch(forward_kernel<1, T>, config_of(name, stream, results), windows, batch, channels, x, y,
           indices);
  }
}

template <class T>
void adaptive_max_pool1d_backward(gpu::StreamHandle stream, const AdaptiveWindows& windows,
                                  int64_t batch, int64_t channels, const T* dy,
                                  const int64_t* indices, T* dx) {
  const int64_t results = batch * windows.size * channels;
  if (results == 0) {
    return;
  }
  constexpr int pack = simt::pack_size<T>;
  constexpr const char* name = "adaptive_max_pool1d_backward";
  if (fits_packs(channels, dy, dx, indices)) {
    launch(backward_kernel<pack, T>, config_of(name, stream, results / pack), windows, batch,
           channels, dy, indices, dx);
  } else {
    launch(backward_kernel<1, T>, config_of(name, stream, results), windows, batch, channels, dy,
           indices, dx);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void adaptive_max_pool1d_forward(gpu::StreamHandle, const AdaptiveWindows&, int64_t,  \
                                            int64_t, const T*, T*, int64_t*);                    \
  template void adaptive_max_pool1d_backward(gpu::StreamHandle, const AdaptiveWindows&, int64_t, \
                                             int64_t, const T*, const int64_t*, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
