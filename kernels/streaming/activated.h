#pragma once
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

}  // namespace warptape::streaming
