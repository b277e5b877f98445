#include "kernels/softmax/softmax_cuda.h"

#include "kernels/common/softmax.cuh"

namespace warptape::cuda {
namespace {

template <class T>
struct Forward : rows::SoftmaxForward<T> {
  using Row = typename rows::SoftmaxForward<T>::Row;
  using Block = typename rows::SoftmaxForward<T>::Block;

  __device__ void complete(Row& row, const Block&, bool) const {
    row.of_total = static_cast<T>(1 / row.state.total);
  }
  __device__ T value(const Row& row, const Block&, int64_t, const T (&x)[1]) const {
    return std::exp(x[0] - row.state.largest) * row.of_total;
  }
};

template <class T>
struct Gradient : rows::SoftmaxBackward<T, Gradient<T>> {
  using Row = typename rows::SoftmaxBackward<T, Gradient<T>>::Row;
  using Block = typename rows::SoftmaxBackward<T, Gradient<T>>::Block;

  static __device__ double term(T dy, T y) {
    return static_cast<double>(dy) * static_cast<double>(y);
  }
  __device__ T value(const Row& row, const Block&, int64_t, const T (&v)[2]) const {
    return v[1] * (v[0] - static_cast<T>(row.state));
  }
};

}  // namespace

template <class T>
void softmax_forward(gpu::StreamHandle stream, const rows::Extents& extents, const T* x, T* y) {
  const rows::Inputs<T, 1> in{{x}};
  rows::run("softmax", stream, rows::plan_of(extents, in, y), Forward<T>{}, in, y, false);
}

template <class T>
void softmax_backward(gpu::StreamHandle stream, const rows::Extents& extents, const T* dy,
                      const T* y, T* dx, bool add) {
  const rows::Inputs<T, 2> in{{dy, y}};
  rows::run("softmax_backward", stream, rows::plan_of(extents, in, dx), Gradient<T>{}, in, dx, add);
}

template void softmax_forward(gpu::StreamHandle, const rows::Extents&, const float*, float*);
template void softmax_forward(gpu::StreamHandle, const rows::Extents&, const double*, double*);
template void softmax_backward(gpu::StreamHandle, const rows::Extents&, const float*, const float*,
                               float*, bool);
template void softmax_backward(gpu::StreamHandle, const rows::Extents&, const double*,
                               const double*, double*, bool);

}  // namespace warptape::cuda
