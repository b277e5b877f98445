#pragma once
#include "core/simt/host_device.h"
#include "kernels/pointwise/operands_read.h"

namespace warptape {

struct MulFunctor {
  static constexpr Reads gradient_a_reads = Reads::B;
  static constexpr Reads gradient_b_reads = Reads::A;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a * b;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient_a(T dy, T /*a*/, T b) {
    return dy * b;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient_b(T dy, T a, T /*b*/) {
    return dy * a;
  }
};

}  // namespace warptape
