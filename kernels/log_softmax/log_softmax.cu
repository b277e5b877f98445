#include "kernels/log_softmax/log_softmax_cuda.h"

#include "kernels/common/softmax.cuh"

namespace warptape::cuda {
namespace {

template <class T>
struct Forward : rows::SoftmaxForward<T> {
  using Row = typename rows::SoftmaxForward<T>::Row;
  using Block = typename rows::SoftmaxForward<T>::Block;

  __device__ void complete(Row& row, const Block&, bool) const {
    row.of_total = static_cast<T>(std::log(row.state.total));
  }
  __device__ T value(const Row& row, const Block&, int64_t, const T (&x)[1]) const {
    return x[0] - row.state.largest - row.of_total;
  }
};

template <class T>
struct Gradient : rows::SoftmaxBackward<T, Gradient<T>> {
  using Row = typename rows::SoftmaxBackward<T, Gradient<T>>::Row;
  using Block = typename rows::SoftmaxBackward<T, Gradient<T>>::Block;

  static __device__ double term(T dy, T) { return static_cast<double>(dy); }
  __device__ T value(const Row& row, const Block&, int64_t, const T (&v)[2]) const {
    return v[0] - std::exp(v[1]) * static_cast<T>(row.state);
  }
};

}  // namespace

template <class T>
void log_softmax_forward(gpu::StreamHandle stream, const rows::Extents& extents, const T* x, T* y) {
  const rows::Inputs<T, 1> in{{x}};
  rows::run("log_softmax", stream, rows::plan_of(extents, in, y), Forward<T>{}, in, y, false);
}

template <class T>
void log_softmax_backward(gpu::StreamHandle stream, const rows::Extents& extents, const T* dy,
                          const T* y, T* dx, bool add) {
  const rows::Inputs<T, 2> in{{dy, y}};
  rows::run("log_softmax_backward", stream, rows::plan_of(extents, in, dx), Gradient<T>{}, in, dx,
            add);
}

template void log_softmax_forward(gpu::StreamHandle, const rows::Extents&, const float*, float*);
template void log_softmax_forward(gpu::StreamHandle, const rows::Extents&, const double*, double*);
template void log_softmax_backward(gpu::StreamHandle, const rows::Extents&, const float*,
                                   const float*, float*, bool);
template void log_softmax_backward(gpu::StreamHandle, const rows::Extents&, const double*,
                                   const double*, double*, bool);

}  // namespace warptape::cuda
