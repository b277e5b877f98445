#pragma once
// Ops of two tensors, element by element, with NumPy's broadcasting. Such an op is a functor with
//   static T forward(T a, T b)
//   static T gradient_a(T dy, T a, T b)     dy times the derivative by a
//   static T gradient_b(T dy, T a, T b)
//   static constexpr bool saves_inputs      whether the gradients read a and b at all

#include "core/parallel.h"
#include "core/strided.h"
#include "core/tape.h"
#include "kernels/common/reduce.h"

namespace warptape {

enum class Side { A, B };

// An op's kernels on the CPU. The target of backward has the shape of side's operand: what was
// broadcast is summed up. Without saves_inputs, a and b are undefined in backward.
struct BinaryKernels {
  void (*forward)(const Tensor& a, const Tensor& b, Tensor& y);
  void (*backward)(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                   GradientTarget to);
  bool saves_inputs;
};

// Checks, allocates, runs and records. The output takes the memory format of the operand that has
// its rank (a's if both have).
Tensor binary_op(const char* name, const Operand& a, const Operand& b,
                 const BinaryKernels& cpu_kernels);

template <class Functor>
void binary_forward_cpu(const Tensor& a, const Tensor& b, Tensor& y) {
  const auto loop =
      make_strided_loop<3>(y.shape(), y.memory_format(),
                           {y.strides(), broadcast_strides(a.shape(), a.memory_format(), y.shape()),
                            broadcast_strides(b.shape(), b.memory_format(), y.shape())});
  dispatch_floating(y.dtype(), [&]<class T>() {
    const T* pa = a.data<T>();
    const T* pb = b.data<T>();
    T* to = y.mutable_data<T>();
    parallel_for(loop.numel(), default_grain, [&](int64_t begin, int64_t end) {
      loop.for_each_run(begin, end, [&](const auto& at, int64_t n, const auto& step) {
        for (int64_t i = 0; i < n; ++i) {
          to[at[0] + i * step[0]] =
              Functor::forward(pa[at[1] + i * step[1]], pb[at[2] + i * step[2]]);
        }
      });
    });
  });
}

template <class Functor>
void binary_backward_cpu(Side side, const Tensor& dy, const Tensor& a, const Tensor& b,
                         GradientTarget to) {
  const Shape& shape = dy.shape();
  const auto strides_in_y = [&](const Tensor& x) {
    return x.defined() ? broadcast_strides(x.shape(), x.memory_format(), shape) : Strides{};
  };
  const Strides target = strides_in_y(to.buffer);
  DimMask summed{};
  for (int d = 0; d < shape.rank(); ++d) {
    const auto i = static_cast<size_t>(d);
    const int own = d - (shape.rank() - to.buffer.rank());
    summed[i] = shape[d] != 1 && (own < 0 || to.buffer.shape()[own] == 1);
  }
  dispatch_floating(dy.dtype(), [&]<class T>() {
    const T* pdy = dy.data<T>();
    const T* pa = a.defined() ? a.data<T>() : pdy;  // never read unless saves_inputs
    const T* pb = b.defined() ? b.data<T>() : pdy;
    T* out = to.buffer.mutable_data<T>();
    const bool accumulate = to.mode == WriteMode::Accumulate;
    strided_reduce<3>(
        shape, dy.memory_format(), summed, target, {dy.strides(), strides_in_y(a), strides_in_y(b)},
        double{0},
        [&](const std::array<int64_t, 3>& at) -> double {
          const T va = Functor::saves_inputs ? pa[at[1]] : T(0);
          const T vb = Functor::saves_inputs ? pb[at[2]] : T(0);
          return side == Side::A ? Functor::gradient_a(pdy[at[0]], va, vb)
                                 : Functor::gradient_b(pdy[at[0]], va, vb);
        },
        [](double sum, double value) { return sum + value; },
        [&](int64_t at, double sum) {
          out[at] = accumulate ? out[at] + static_cast<T>(sum) : static_cast<T>(sum);
        });
  });
}

}  // namespace warptape
