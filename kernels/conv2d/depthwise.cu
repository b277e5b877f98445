#include "kernels/conv2d/depthwise.cuh"

#include <algorithm>

#include "core/device/launch.h"

namespace warptape::cuda {
namespace {

using namespace depthwise;

constexpr int chunk_pixels = 1024;
constexpr const char* name = "conv2d_depthwise";

unsigned blocks_of(int64_t threads) {
  return static_cast<unsigned>((threads + block_threads - 1) / block_threads);
}

LaunchConfig config(gpu::StreamHandle stream, unsigned blocks) {
  return {.grid = dim3(blocks), .block = dim3(block_threads), .stream = stream, .name = name};
}

// Packs where an output has its input channel to itself and all rows begin at 16 bytes.
template <class T, class... Pointers>
bool fits_packs(const DepthwiseGeometry& g, const Pointers*... pointers) {
  return g.multiplier == 1 && g.channels % simt::pack_size<T> == 0 &&
         (simt::is_aligned16(pointers) && ...);
}

int64_t pixels_of_y(const DepthwiseGeometry& g) {
  return int64_t{g.batch} * g.out_height * g.out_width;
}

}  // namespace

template <class T>
void depthwise_forward(gpu::StreamHandle stream, const DepthwiseGeometry& g, const T* x,
                       const T* filters, const T* bias, T* y) {
  constexpr int pack = simt::pack_size<T>;
  const int64_t elements = pixels_of_y(g) * g.out_channels();
  if (fits_packs<T>(g, x, filters, bias, y)) {
    launch(forward_kernel<pack, T>, config(stream, blocks_of(elements / pack)), g, x, filters, bias,
           y);
  } else {
    launch(forward_kernel<1, T>, config(stream, blocks_of(elements)), g, x, filters, bias, y);
  }
}

template <class T>
void depthwise_data_grad(gpu::StreamHandle stream, const DepthwiseGeometry& g, const T* dy,
                         const T* filters, T* dx) {
  constexpr int pack = simt::pack_size<T>;
  const int64_t elements = int64_t{g.batch} * g.height * g.width * g.channels;
  if (fits_packs<T>(g, dy, filters, dx)) {
    launch(data_grad_kernel<pack, T>, config(stream, blocks_of(elements / pack)), g, dy, filters,
           dx);
  } else {
    launch(data_grad_kernel<1, T>, config(stream, blocks_of(elements)), g, dy, filters, dx);
  }
}

int depthwise_chunks(const DepthwiseGeometry& g) {
  return static_cast<int>((pixels_of_y(g) + chunk_pixels - 1) / chunk_pixels);
}

template <class T>
void depthwise_weight_grad(gpu::StreamHandle stream, const DepthwiseGeometry& g, const T* dy,
                           const T* x, T* partials, T* dfilters) {
  const int taps = g.kernel_height * g.kernel_width;
  const int chunks = depthwise_chunks(g);
  const auto run = [&](auto* kernel, int pack) {
    const int packs = g.out_channels() / pack;
    const int lanes = std::min(packs, most_lanes);
    const int tiles = (packs + lanes - 1) / lanes;
    LaunchConfig own = config(stream, static_cast<unsigned>(tiles) * static_cast<unsigned>(taps));
    own.grid.y = static_cast<unsigned>(chunks);
    launch(kernel, own, g, lanes, chunk_pixels, dy, x, partials);
  };
  constexpr int pack = simt::pack_size<T>;
  if (fits_packs<T>(g, dy, x)) {
    run(weight_grad_kernel<pack, T>, pack);
  } else {
    run(weight_grad_kernel<1, T>, 1);
  }
  launch(finish_weight_grad_kernel<T>, config(stream, blocks_of(int64_t{g.out_channels()} * taps)),
         g.out_channels(), taps, chunks, partials, dfilters);
}

#define WARPTAPE_INSTANTIATE_DEPTHWISE(T)                                                          \
  template void depthwise_forward(gpu::StreamHandle, const DepthwiseGeometry&, const T*, const T*, \
                                  const T*, T*);                                                   \
  template void depthwise_data_grad(gpu::StreamHandle, const DepthwiseGeometry&, const T*,         \
                                    const T*, T*);                                                 \
  template void depthwise_weight_grad(gpu::StreamHandle, const DepthwiseGeometry&, const T*,       \
                                      const T*, T*, T*)

WARPTAPE_INSTANTIATE_DEPTHWISE(float);
WARPTAPE_INSTANTIATE_DEPTHWISE(double);

}  // namespace warptape::cuda
