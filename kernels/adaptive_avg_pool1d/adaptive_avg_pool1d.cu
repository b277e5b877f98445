#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/simt/packs.cuh"
#include "kernels/adaptive_avg_pool1d/adaptive_avg_pool1d_cuda.h"

namespace warptape::on_cuda {
namespace {

constexpr unsigned threads = 256;

// What a window's element is multiplied by: of the mean, or of its gradient, where the elements are
// windows.
struct OfMean {
  AdaptiveWindows windows;
  __device__ double operator()(int64_t window, int64_t) const { return windows.share(window); }
  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};
struct OfGradient {
  AdaptiveWindows windows;
  __device__ double operator()(int64_t, int64_t window) const { return windows.share(window); }
  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// A thread owns a pack of E channels at one place of `to`, and sums what that place's window covers
// of `from`.
template <int E, class T, class Share>
__global__ void __launch_bounds__(threads, 4)
    weighted_sums_kernel(const AdaptiveWindows __grid_constant__ covered, int64_t batch,
                         int64_t channels, const Share share, const T* from, T* to) {
  const int64_t own = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int64_t packs = channels / E;
  const int64_t place = own / packs;
  if (place >= batch * covered.windows) {
    return;
  }
  const int64_t channel = own % packs * E;
  const int64_t i = place % covered.windows;
  const T* const line = from + place / covered.windows * covered.size * channels + channel;
  double sums[E] = {};
  const int64_t end = covered.end(i);
  // Unrolled, the divisions of the shares would take more registers than 32 warps have.
#pragma unroll 1
  for (int64_t j = covered.begin(i); j < end; ++j) {
    const auto values = simt::load_pack<E>(line + j * channels);
    const double weight = share(i, j);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      sums[e] += weight * static_cast<double>(values[e]);
    }
  }
  simt::Pack<T, E> results;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    results[e] = static_cast<T>(sums[e]);
  }
  simt::store_pack<E>(to + place * channels + channel, results);
}

template <int E, class T, class Share>
void weighted_sums_of(const char* name, gpu::StreamHandle stream, const AdaptiveWindows& covered,
                      int64_t batch, int64_t channels, const Share& share, const T* from, T* to) {
  const int64_t packs = batch * covered.windows * (channels / E);
  const LaunchConfig config{.grid = dim3(static_cast<unsigned>((packs + threads - 1) / threads)),
                            .block = dim3(threads),
                            .stream = stream,
                            .name = name};
  if (packs > 0) {
    launch(weighted_sums_kernel<E, T, Share>, config, covered, batch, channels, share, from, to);
  }
}

template <class T, class Share>
void weighted_sums(const char* name, gpu::StreamHandle stream, const AdaptiveWindows& covered,
                   int64_t batch, int64_t channels, const Share& share, const T* from, T* to) {
  constexpr int pack = simt::pack_size<T>;
  if (channels % pack == 0 && simt::is_aligned16(from) && simt::is_aligned16(to)) {
    weighted_sums_of<pack>(name, stream, covered, batch, channels, share, from, to);
  } else {
    weighted_sums_of<1>(name, stream, covered, batch, channels, share, from, to);
  }
}

}  // namespace

template <class T>
void adaptive_avg_pool1d_forward(gpu::StreamHandle stream, const AdaptiveWindows& windows,
                                 int64_t batch, int64_t channels, const T* x, T* y) {
  weighted_sums("adaptive_avg_pool1d", stream, windows, batch, channels, OfMean{windows}, x, y);
}

template <class T>
void adaptive_avg_pool1d_backward(gpu::StreamHandle stream, const AdaptiveWindows& windows,
                                  int64_t batch, int64_t channels, const T* dy, T* dx) {
  weighted_sums("adaptive_avg_pool1d_backward", stream, windows.inverse(), batch, channels,
                OfGradient{windows}, dy, dx);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                     \
  template void adaptive_avg_pool1d_forward(gpu::StreamHandle, const AdaptiveWindows&, int64_t,  \
                                            int64_t, const T*, T*);                              \
  template void adaptive_avg_pool1d_backward(gpu::StreamHandle, const AdaptiveWindows&, int64_t, \
                                             int64_t, const T*, T*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
