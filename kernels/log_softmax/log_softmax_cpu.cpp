#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/common/along_dim.h"
#include "kernels/log_softmax/log_softmax_kernels.h"

namespace warptape {

void log_softmax_forward_cpu(const Tensor& x, int dim, Tensor& y) {
  const AlongDim layout = along_dim(x, dim);
  dispatch_floating(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>();
    T* to = y.mutable_data<T>();
    parallel_rows(layout, [&](int64_t start) {
      const auto at = [&](int64_t i) { return start + i * layout.stride; };
      T largest = -std::numeric_limits<T>::infinity();
      for (int64_t i = 0; i < layout.length; ++i) {
        largest = std::max(largest, from[at(i)]);
      }
      double total = 0;
      for (int64_t i = 0; i < layout.length; ++i) {
        total += std::exp(from[at(i)] - largest);
      }
      const T log_total = static_cast<T>(std::log(total));
      for (int64_t i = 0; i < layout.length; ++i) {
        to[at(i)] = from[at(i)] - largest - log_total;
      }
    });
  });
}

void log_softmax_backward_cpu(const Tensor& dy, const Tensor& y, int dim, GradientTarget dx) {
  const AlongDim layout = along_dim(y, dim);
  dispatch_floating(y.dtype(), [&]<class T>() {
    const T* gradient = dy.data<T>();
    const T* output = y.data<T>();
    T* to = dx.buffer.mutable_data<T>();
    const bool accumulate = dx.mode == WriteMode::Accumulate;
    parallel_rows(layout, [&](int64_t start) {
      const auto at = [&](int64_t i) { return start + i * layout.stride; };
      double dot = 0;
      for (int64_t i = 0; i < layout.length; ++i) {
        dot += gradient[at(i)];
      }
      for (int64_t i = 0; i < layout.length; ++i) {
        const T value = gradient[at(i)] - std::exp(output[at(i)]) * static_cast<T>(dot);
        to[at(i)] = accumulate ? to[at(i)] + value : value;
      }
    });
  });
}

}  // namespace warptape
