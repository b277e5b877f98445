#pragma once
// Depthwise convolution on "cuda": every group has one input channel, so that nothing is summed
// over channels and a matrix product would be idle work. These kernels wait for memory.

#include "core/device/gpu.h"

namespace warptape::cuda {

// Images are channels-last: x (N, H, W, C), y (N, H', W', C * multiplier); output channel o reads
// input channel o / multiplier. Filters are (kH, kW, C * multiplier) here.
struct DepthwiseGeometry {
  int batch, height, width, channels;
  int out_height, out_width, multiplier;
  int kernel_height, kernel_width;
  int stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;

  int out_channels() const { return channels * multiplier; }

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// bias: one per output channel, or nullptr.
template <class T>
void depthwise_forward(gpu::StreamHandle stream, const DepthwiseGeometry& geometry, const T* x,
                       const T* filters, const T* bias, T* y);
template <class T>
void depthwise_data_grad(gpu::StreamHandle stream, const DepthwiseGeometry& geometry, const T* dy,
                         const T* filters, T* dx);

// The pixels of y are divided into chunks, whose sums a second launch adds.
// partials: chunks * kH * kW * output channels elements. dfilters: (output channels, kH, kW).
int depthwise_chunks(const DepthwiseGeometry& geometry);
template <class T>
void depthwise_weight_grad(gpu::StreamHandle stream, const DepthwiseGeometry& geometry, const T* dy,
                           const T* x, T* partials, T* dfilters);

}  // namespace warptape::cuda
