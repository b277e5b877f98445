#pragma once
// The naive twins of the matrix core: one thread per result and nothing clever, for reading and for
// the tests that hold the core against them. Pointers are to device memory; images and filters are
// channels-last.

#include "core/device/gpu.h"

namespace warptape::on_cuda {

struct NaiveConv {
  int batch, height, width, in_channels;
  int out_height, out_width, out_channels;
  int kernel_height, kernel_width;
  int stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x;
  int groups;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// y (N, H', W', O) from x (N, H, W, C) and filters (O, kH, kW, C / groups). Sums are double.
template <class T, class Out>
void naive_conv_forward(gpu::StreamHandle stream, const NaiveConv& conv, const T* x,
                        const T* filters, Out* y);
template <class T, class Out>
void naive_conv_data_grad(gpu::StreamHandle stream, const NaiveConv& conv, const T* dy,
                          const T* filters, Out* dx);
template <class T, class Out>
void naive_conv_weight_grad(gpu::StreamHandle stream, const NaiveConv& conv, const T* dy,
                            const T* x, Out* dfilters);

// c (m, n) = op(a) op(b), row-major.
template <class T, class Out>
void naive_gemm(gpu::StreamHandle stream, bool transpose_a, bool transpose_b, int m, int n, int k,
                const T* a, const T* b, Out* c);

}  // namespace warptape::on_cuda
