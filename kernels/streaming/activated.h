#pragma once
#include <cmath>

#include "kernels/pointwise/functors.h"
#include "kernels/streaming/ring.h"

namespace warptape::streaming {

// One element by any activation but Gated, which is of two.
template <class T>
WARPTAPE_HOST_DEVICE T activated(Activation by, double negative_slope, T x) {
  switch (by) {
    case Activation::ReLU:
      return pointwise::Relu().forward(x);
    case Activation::Tanh:
      return pointwise::Tanh().forward(x);
    case Activation::LeakyReLU:
      return pointwise::LeakyRelu{negative_slope}.forward(x);
    case Activation::GELU:
      return pointwise::Gelu().forward(x);
    default:
      return x;
  }
}

template <class T>
WARPTAPE_HOST_DEVICE T gated(T a, T b) {
  return pointwise::Tanh().forward(a) * pointwise::Sigmoid().forward(b);
}

// What normalises a row of so many channels: x less `mean`, times `scale`.
template <class T>
struct RowStatistics {
  T mean;
  T scale;
};

template <class T>
WARPTAPE_HOST_DEVICE RowStatistics<T> statistics_of(const T* row, int64_t channels, double eps) {
  T sum = 0;
  for (int64_t c = 0; c < channels; ++c) {
    sum += row[c];
  }
  const T mean = sum / static_cast<T>(channels);
  T squares = 0;
  for (int64_t c = 0; c < channels; ++c) {
    squares += (row[c] - mean) * (row[c] - mean);
  }
  return {mean, T(1) / std::sqrt(squares / static_cast<T>(channels) + static_cast<T>(eps))};
}

}  // namespace warptape::streaming
