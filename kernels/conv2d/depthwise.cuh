#pragma once
// E: elements of a pack along the channels, 1 if there is more than one output per input channel.

#include "core/element_types.h"
#include "core/simt/packs.cuh"
#include "kernels/conv2d/chunk_sum.cuh"
#include "kernels/conv2d/depthwise.h"

namespace warptape::depthwise {

using on_cuda::DepthwiseGeometry;

// A thread owns a pack of y.
template <int E, class T>
__global__ void __launch_bounds__(block_threads, 4)
    forward_kernel(const DepthwiseGeometry __grid_constant__ g, const T* x, const T* filters,
                   const Compute<T>* bias, T* y) {
  using C = Compute<T>;
  const int outputs = g.channels * g.multiplier;
  const int64_t index = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  const int64_t pixel = index / (outputs / E);
  if (pixel >= int64_t{g.batch} * g.out_height * g.out_width) {
    return;
  }
  const int o = static_cast<int>(index % (outputs / E)) * E;
  const int c = o / g.multiplier;
  const int ow = static_cast<int>(pixel % g.out_width);
  const int oh = static_cast<int>(pixel / g.out_width % g.out_height);
  const int64_t n = pixel / g.out_width / g.out_height;
  simt::Pack<Compute<T>, E> sum{};
  if (bias != nullptr) {
    sum = simt::load_pack<E>(bias + o);
  }
  for (int r = 0; r < g.kernel_height; ++r) {
    const int ih = oh * g.stride_y - g.padding_y + r * g.dilation_y;
    for (int s = 0; s < g.kernel_width; ++s) {
      const int iw = ow * g.stride_x - g.padding_x + s * g.dilation_x;
      if (ih < 0 || ih >= g.height || iw < 0 || iw >= g.width) {
        continue;
      }
      const int64_t from = ((n * g.height + ih) * g.width + iw) * g.channels + c;
      const auto value = simt::load_pack<E>(x + from);
      const auto filter =
          simt::load_pack<E>(filters + int64_t{r * g.kernel_width + s} * outputs + o);
#pragma unroll
      for (int e = 0; e < E; ++e) {
        sum[e] = fma(C{value[e]}, C{filter[e]}, sum[e]);
      }
    }
  }
  simt::store_pack<E>(y + pixel * outputs + o, simt::cast_pack<T>(sum));
}

// A thread owns a pack of dx, and visits the pixels of y that read it.
template <int E, class T>
__global__ void __launch_bounds__(block_threads, 4)
    data_grad_kernel(const DepthwiseGeometry __grid_constant__ g, const T* dy, const T* filters,
                     const Compute<T>* bias, T* dx) {
  using C = Compute<T>;
  const int outputs = g.channels * g.multiplier;
  const int64_t index = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  const int64_t pixel = index / (g.channels / E);
  if (pixel >= int64_t{g.batch} * g.height * g.width) {
    return;
  }
  const int c = static_cast<int>(index % (g.channels / E)) * E;
  const int iw = static_cast<int>(pixel % g.width);
  const int ih = static_cast<int>(pixel / g.width % g.height);
  const int64_t n = pixel / g.width / g.height;
  simt::Pack<Compute<T>, E> sum{};
  if (bias != nullptr) {
    sum = simt::load_pack<E>(bias + c);
  }
  for (int r = 0; r < g.kernel_height; ++r) {
    const int y = ih + g.padding_y - r * g.dilation_y;
    // Unrolled, the loops would take more registers than 32 warps have.
#pragma unroll 1
    for (int s = 0; s < g.kernel_width; ++s) {
      const int x = iw + g.padding_x - s * g.dilation_x;
      if (y < 0 || x < 0 || y % g.stride_y != 0 || x % g.stride_x != 0 ||
          y / g.stride_y >= g.out_height || x / g.stride_x >= g.out_width) {
        continue;
      }
      const int64_t from =
          ((n * g.out_height + y / g.stride_y) * g.out_width + x / g.stride_x) * outputs;
      const int64_t tap = int64_t{r * g.kernel_width + s} * outputs;
#pragma unroll 1
      for (int m = 0; m < g.multiplier; ++m) {
        const int o = c * g.multiplier + m;
        const auto value = simt::load_pack<E>(dy + from + o);
        const auto filter = simt::load_pack<E>(filters + tap + o);
#pragma unroll
        for (int e = 0; e < E; ++e) {
          sum[e] = fma(C{value[e]}, C{filter[e]}, sum[e]);
        }
      }
    }
  }
  simt::store_pack<E>(dx + pixel * g.channels + c, simt::cast_pack<T>(sum));
}

// A block owns `lanes` packs of output channels at one tap (blockIdx.x) over a chunk of the pixels
// of y (blockIdx.y); its threads share the pixels and meet in shared memory.
template <int E, class T>
__global__ void __launch_bounds__(block_threads, 4)
    weight_grad_kernel(const DepthwiseGeometry __grid_constant__ g, int lanes, int chunk_pixels,
                       const T* dy, const T* x, Compute<T>* partials) {
  using C = Compute<T>;
  WARPTAPE_SHARED(C, shared, [E][block_threads]);
  const int outputs = g.channels * g.multiplier;
  const int thread = static_cast<int>(threadIdx.x);
  const int height = block_threads / lanes;
  const int row = thread / lanes;
  const int taps = g.kernel_height * g.kernel_width;
  const int tap = static_cast<int>(blockIdx.x) % taps;
  const int o = (static_cast<int>(blockIdx.x) / taps * lanes + thread % lanes) * E;
  const int r = tap / g.kernel_width;
  const int s = tap % g.kernel_width;
  const int64_t pixels = int64_t{g.batch} * g.out_height * g.out_width;
  const int64_t begin = int64_t{blockIdx.y} * chunk_pixels;
  const int64_t end = begin + chunk_pixels < pixels ? begin + chunk_pixels : pixels;

  simt::Pack<Compute<T>, E> sum{};
  if (row < height && o < outputs) {
    for (int64_t pixel = begin + row; pixel < end; pixel += height) {
      const int ow = static_cast<int>(pixel % g.out_width);
      const int oh = static_cast<int>(pixel / g.out_width % g.out_height);
      const int64_t n = pixel / g.out_width / g.out_height;
      const int ih = oh * g.stride_y - g.padding_y + r * g.dilation_y;
      const int iw = ow * g.stride_x - g.padding_x + s * g.dilation_x;
      if (ih < 0 || ih >= g.height || iw < 0 || iw >= g.width) {
        continue;
      }
      const auto gradient = simt::load_pack<E>(dy + pixel * outputs + o);
      const auto value = simt::load_pack<E>(x + ((n * g.height + ih) * g.width + iw) * g.channels +
                                            o / g.multiplier);
#pragma unroll
      for (int e = 0; e < E; ++e) {
        sum[e] = fma(C{gradient[e]}, C{value[e]}, sum[e]);
      }
    }
  }
#pragma unroll
  for (int e = 0; e < E; ++e) {
    shared[e][thread] = sum[e];
  }
  __syncthreads();
  if (row == 0 && o < outputs) {
    for (int other = 1; other < height; ++other) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        sum[e] += shared[e][thread + other * lanes];
      }
    }
    simt::store_pack<E>(partials + (int64_t{blockIdx.y} * taps + tap) * outputs + o, sum);
  }
}

// dfilters (O, taps) from the chunks' sums (taps, O).
template <class T>
__global__ void __launch_bounds__(block_threads, 4)
    finish_weight_grad_kernel(int outputs, int taps, int chunks, int sharers, const T* partials,
                              T* dfilters) {
  const int64_t results = int64_t{outputs} * taps;
  const ChunkSum<T> sum(results, chunks, sharers, [&](int chunk, int64_t index) {
    return partials[chunk * results + index];
  });
  if (sum.is_mine()) {
    dfilters[sum.index() % outputs * taps + sum.index() / outputs] = sum.value();
  }
}

}  // namespace warptape::depthwise
