#pragma once
// What the matrix core computes, as one would write it down.

#include "core/simt/simt.h"
#include "tests/support/naive.h"

namespace warptape::naive {

using on_cuda::NaiveConv;

__device__ inline int64_t thread_number() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

template <class T>
__device__ double wide(T value) {
  return static_cast<double>(static_cast<float>(value));
}
template <>
__device__ inline double wide(double value) {
  return value;
}

template <class Out>
__device__ Out narrow(double value) {
  return static_cast<Out>(static_cast<float>(value));
}
template <>
__device__ inline double narrow(double value) {
  return value;
}

// A thread owns one element of y.
template <class T, class Out>
__global__ void conv_forward(const NaiveConv g, const T* x, const T* filters, Out* y) {
  const int64_t index = thread_number();
  if (index >= int64_t{g.batch} * g.out_height * g.out_width * g.out_channels) {
    return;
  }
  const int o = static_cast<int>(index % g.out_channels);
  const int ow = static_cast<int>(index / g.out_channels % g.out_width);
  const int oh = static_cast<int>(index / g.out_channels / g.out_width % g.out_height);
  const int n = static_cast<int>(index / g.out_channels / g.out_width / g.out_height);
  const int channels = g.in_channels / g.groups;
  const int first_channel = o / (g.out_channels / g.groups) * channels;
  double sum = 0;
  for (int r = 0; r < g.kernel_height; ++r) {
    for (int s = 0; s < g.kernel_width; ++s) {
      const int ih = oh * g.stride_y - g.padding_y + r * g.dilation_y;
      const int iw = ow * g.stride_x - g.padding_x + s * g.dilation_x;
      if (ih < 0 || ih >= g.height || iw < 0 || iw >= g.width) {
        continue;
      }
      for (int c = 0; c < channels; ++c) {
        const int64_t pixel = (int64_t{n} * g.height + ih) * g.width + iw;
        const int64_t tap = (int64_t{o} * g.kernel_height + r) * g.kernel_width + s;
        sum +=
            wide(x[pixel * g.in_channels + first_channel + c]) * wide(filters[tap * channels + c]);
      }
    }
  }
  y[index] = narrow<Out>(sum);
}

// A thread owns one element of dx and looks for the elements of y that it took part in.
template <class T, class Out>
__global__ void conv_data_grad(const NaiveConv g, const T* dy, const T* filters, Out* dx) {
  const int64_t index = thread_number();
  if (index >= int64_t{g.batch} * g.height * g.width * g.in_channels) {
    return;
  }
  const int c = static_cast<int>(index % g.in_channels);
  const int iw = static_cast<int>(index / g.in_channels % g.width);
  const int ih = static_cast<int>(index / g.in_channels / g.width % g.height);
  const int n = static_cast<int>(index / g.in_channels / g.width / g.height);
  const int channels = g.in_channels / g.groups;
  const int outputs = g.out_channels / g.groups;
  const int group = c / channels;
  double sum = 0;
  for (int r = 0; r < g.kernel_height; ++r) {
    for (int s = 0; s < g.kernel_width; ++s) {
      const int y = ih + g.padding_y - r * g.dilation_y;
      const int x = iw + g.padding_x - s * g.dilation_x;
      if (y < 0 || x < 0 || y % g.stride_y != 0 || x % g.stride_x != 0 ||
          y / g.stride_y >= g.out_height || x / g.stride_x >= g.out_width) {
        continue;
      }
      const int64_t pixel =
          (int64_t{n} * g.out_height + y / g.stride_y) * g.out_width + x / g.stride_x;
      for (int i = 0; i < outputs; ++i) {
        const int o = group * outputs + i;
        const int64_t tap = (int64_t{o} * g.kernel_height + r) * g.kernel_width + s;
        sum += wide(dy[pixel * g.out_channels + o]) * wide(filters[tap * channels + c % channels]);
      }
    }
  }
  dx[index] = narrow<Out>(sum);
}

// A thread owns one element of the filters' gradient and visits every pixel of y.
template <class T, class Out>
__global__ void conv_weight_grad(const NaiveConv g, const T* dy, const T* x, Out* dfilters) {
  const int64_t index = thread_number();
  const int channels = g.in_channels / g.groups;
  if (index >= int64_t{g.out_channels} * g.kernel_height * g.kernel_width * channels) {
    return;
  }
  const int c = static_cast<int>(index % channels);
  const int s = static_cast<int>(index / channels % g.kernel_width);
  const int r = static_cast<int>(index / channels / g.kernel_width % g.kernel_height);
  const int o = static_cast<int>(index / channels / g.kernel_width / g.kernel_height);
  const int channel = o / (g.out_channels / g.groups) * channels + c;
  double sum = 0;
  for (int n = 0; n < g.batch; ++n) {
    for (int oh = 0; oh < g.out_height; ++oh) {
      for (int ow = 0; ow < g.out_width; ++ow) {
        const int ih = oh * g.stride_y - g.padding_y + r * g.dilation_y;
        const int iw = ow * g.stride_x - g.padding_x + s * g.dilation_x;
        if (ih < 0 || ih >= g.height || iw < 0 || iw >= g.width) {
          continue;
        }
        const int64_t from = (int64_t{n} * g.height + ih) * g.width + iw;
        const int64_t to = (int64_t{n} * g.out_height + oh) * g.out_width + ow;
        sum += wide(dy[to * g.out_channels + o]) * wide(x[from * g.in_channels + channel]);
      }
    }
  }
  dfilters[index] = narrow<Out>(sum);
}

// A thread owns one element of c.
template <class T, class Out>
__global__ void gemm(bool transpose_a, bool transpose_b, int m, int n, int k, const T* a,
                     const T* b, Out* c) {
  const int64_t index = thread_number();
  if (index >= int64_t{m} * n) {
    return;
  }
  const int64_t i = index / n;
  const int64_t j = index % n;
  double sum = 0;
  for (int64_t p = 0; p < k; ++p) {
    const T left = transpose_a ? a[p * m + i] : a[i * k + p];
    const T right = transpose_b ? b[j * k + p] : b[p * n + j];
    sum += wide(left) * wide(right);
  }
  c[index] = narrow<Out>(sum);
}

}  // namespace warptape::naive
