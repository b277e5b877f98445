#include "tests/support/naive.cuh"

#include "core/device/launch.h"

namespace warptape::on_cuda {
namespace {

LaunchConfig one_thread_each(const char* name, gpu::StreamHandle stream, int64_t results) {
  constexpr int64_t threads = 128;
  return {.grid = dim3(static_cast<unsigned>((results + threads - 1) / threads)),
          .block = dim3(threads),
          .stream = stream,
          .name = name};
}

}  // namespace

template <class T, class Out>
void naive_conv_forward(gpu::StreamHandle stream, const NaiveConv& g, const T* x, const T* filters,
                        Out* y) {
  const int64_t results = int64_t{g.batch} * g.out_height * g.out_width * g.out_channels;
  launch(naive::conv_forward<T, Out>, one_thread_each("naive_conv_forward", stream, results), g, x,
         filters, y);
}

template <class T, class Out>
void naive_conv_data_grad(gpu::StreamHandle stream, const NaiveConv& g, const T* dy,
                          const T* filters, Out* dx) {
  const int64_t results = int64_t{g.batch} * g.height * g.width * g.in_channels;
  launch(naive::conv_data_grad<T, Out>, one_thread_each("naive_conv_data_grad", stream, results), g,
         dy, filters, dx);
}

template <class T, class Out>
void naive_conv_weight_grad(gpu::StreamHandle stream, const NaiveConv& g, const T* dy, const T* x,
                            Out* dfilters) {
  const int64_t results =
      int64_t{g.out_channels} * g.kernel_height * g.kernel_width * (g.in_channels / g.groups);
  launch(naive::conv_weight_grad<T, Out>,
         one_thread_each("naive_conv_weight_grad", stream, results), g, dy, x, dfilters);
}

template <class T, class Out>
void naive_gemm(gpu::StreamHandle stream, bool transpose_a, bool transpose_b, int m, int n, int k,
                const T* a, const T* b, Out* c) {
  launch(naive::gemm<T, Out>, one_thread_each("naive_gemm", stream, int64_t{m} * n), transpose_a,
         transpose_b, m, n, k, a, b, c);
}

#define WARPTAPE_INSTANTIATE_NAIVE(T, Out, Sum)                                                    \
  template void naive_conv_forward(gpu::StreamHandle, const NaiveConv&, const T*, const T*, Out*); \
  template void naive_conv_data_grad(gpu::StreamHandle, const NaiveConv&, const T*, const T*,      \
                                     Out*);                                                        \
  template void naive_conv_weight_grad(gpu::StreamHandle, const NaiveConv&, const T*, const T*,    \
                                       Sum*);                                                      \
  template void naive_gemm(gpu::StreamHandle, bool, bool, int, int, int, const T*, const T*, Out*)

WARPTAPE_INSTANTIATE_NAIVE(float, float, float);
WARPTAPE_INSTANTIATE_NAIVE(double, double, double);
WARPTAPE_INSTANTIATE_NAIVE(simt::bfloat16, simt::bfloat16, float);

}  // namespace warptape::on_cuda
