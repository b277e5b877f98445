#pragma once
// The CUDA kernels of softmax-like ops: `template struct SoftmaxCuda<MyFunctor, float>;` in
// my_op.cu, and the same for double, compiles them.

#include "kernels/rows/rows.cuh"
#include "kernels/softmax/softmax.cuh"
#include "kernels/softmax/softmax_cuda.h"

namespace warptape {

template <class Functor, class T>
struct SoftmaxForward : rows::NothingPerBlock {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 1;
  struct Row {
    rows::MaxAndTotal<C> state;
    C factor;
  };

  static __device__ rows::MaxAndTotal<C> identity() { return rows::max_and_total_of_nothing<C>(); }
  static __device__ rows::MaxAndTotal<C> combine(const rows::MaxAndTotal<C>& a,
                                                 const rows::MaxAndTotal<C>& b) {
    return rows::combine(a, b);
  }
  template <class Items>
  __device__ void add(Row& row, const Block&, const Items& items) const {
    rows::add_elements(row.state, items);
  }
  __device__ void complete(Row& row, const Block&, bool) const {
    row.factor = Functor::template factor<C>(row.state.total);
  }
  __device__ C value(const Row& row, const Block&, int64_t, const C (&x)[1]) const {
    return Functor::value(Functor::kept(x[0] - row.state.largest), row.factor);
  }
};

// Inputs dy and y.
template <class Functor, class T>
struct SoftmaxGradient : rows::NothingPerBlock {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 2;
  struct Row {
    double state;
  };

  static __device__ double identity() { return 0; }
  static __device__ double combine(double a, double b) { return a + b; }
  template <class Items>
  __device__ void add(Row& row, const Block&, const Items& items) const {
    items([&](int64_t, const C(&v)[2]) { row.state += Functor::term(v[0], v[1]); });
  }
  __device__ void complete(Row&, const Block&, bool) const {}
  __device__ C value(const Row& row, const Block&, int64_t, const C (&v)[2]) const {
    return Functor::gradient(v[0], v[1], static_cast<C>(row.state));
  }
};

template <class Functor, class T>
void SoftmaxCuda<Functor, T>::forward(const char* name, gpu::StreamHandle stream,
                                      const rows::Plan& plan, const T* x, T* y, void* states) {
  using Op = SoftmaxForward<Functor, T>;
  static_assert(sizeof(rows::State<Op>) <= softmax_state_bytes);
  rows::run(name, stream, plan, Op{}, rows::Inputs<T, 1>{{x}}, y, false,
            static_cast<rows::State<Op>*>(states));
}

template <class Functor, class T>
void SoftmaxCuda<Functor, T>::backward(const char* name, gpu::StreamHandle stream,
                                       const rows::Plan& plan, const T* dy, const T* y,
                                       bool accumulate, T* dx, void* states) {
  using Op = SoftmaxGradient<Functor, T>;
  static_assert(sizeof(rows::State<Op>) <= softmax_state_bytes);
  rows::run(name, stream, plan, Op{}, rows::Inputs<T, 2>{{dy, y}}, dx, accumulate,
            static_cast<rows::State<Op>*>(states));
}

}  // namespace warptape
