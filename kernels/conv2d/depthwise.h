#pragma once
// Depthwise convolution on "cuda": every group has one input channel, so that nothing is summed
// over channels and a matrix product would be idle work. These kernels wait for memory.

#include <string>

#include "core/device/gpu.h"
#include "core/element_types.h"
#include "kernels/matrix/plan.h"

namespace warptape::on_cuda {

// Images are channels-last: x (N, H, W, C), y (N, H', W', C * multiplier); output channel o reads
// input channel o / multiplier. Filters are (kH, kW, C * multiplier) here. The padding is what lies
// before the image: behind it is what windows reach.
struct DepthwiseGeometry {
  int batch, height, width, channels;
  int out_height, out_width, multiplier;
  int kernel_height, kernel_width;
  int stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;

  int out_channels() const { return channels * multiplier; }
  int taps() const { return kernel_height * kernel_width; }
  int64_t pixels_of_x() const { return int64_t{batch} * height * width; }
  int64_t pixels_of_y() const { return int64_t{batch} * out_height * out_width; }

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// The launch that adds up what several blocks have summed of the same results.
struct Finish {
  int sharers = 1;     // threads that share a result
  int64_t blocks = 0;  // 0: there is nothing to add
  bool operator==(const Finish&) const = default;
};

// How one of the three is spread over the GPU: as a matrix::Plan, made on the host.
struct DepthwisePlan {
  int pack = 1;  // channels of a load: 16 bytes or one
  int64_t blocks = 0;
  // Of the weight gradient: the pixels of y are divided into chunks, which a second launch adds up.
  static constexpr int chunk_pixels = 1024;
  int lanes = 0;  // packs of channels that a block takes
  int chunks = 0;
  Finish finish;
  bool operator==(const DepthwisePlan&) const = default;
};
std::string to_string(const DepthwisePlan& plan);

// The addresses that packs would be loaded from or stored to; bias may be nullptr.
template <class T>
DepthwisePlan plan_depthwise_forward(const DepthwiseGeometry& geometry, const T* x,
                                     const T* filters, const Compute<T>* bias, const T* y);
template <class T>
DepthwisePlan plan_depthwise_data_grad(const DepthwiseGeometry& geometry, const T* dy,
                                       const T* filters, const Compute<T>* bias, const T* dx);
template <class T>
DepthwisePlan plan_depthwise_weight_grad(const DepthwiseGeometry& geometry, const T* dy,
                                         const T* x);

// bias: one per channel of y, or of dx, or nullptr.
template <class T>
void depthwise_forward(gpu::StreamHandle stream, const DepthwisePlan& plan,
                       const DepthwiseGeometry& geometry, const T* x, const T* filters,
                       const Compute<T>* bias, T* y);
template <class T>
void depthwise_data_grad(gpu::StreamHandle stream, const DepthwisePlan& plan,
                         const DepthwiseGeometry& geometry, const T* dy, const T* filters,
                         const Compute<T>* bias, T* dx);

// partials: chunks * kH * kW * output channels elements, aligned to 16 bytes. dfilters: (output
// channels, kH, kW).
template <class T>
void depthwise_weight_grad(gpu::StreamHandle stream, const DepthwisePlan& plan,
                           const DepthwiseGeometry& geometry, const T* dy, const T* x,
                           Compute<T>* partials, Compute<T>* dfilters);

}  // namespace warptape::on_cuda
