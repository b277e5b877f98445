#pragma once
#include "core/simt/host_device.h"

namespace warptape {

struct DivFunctor {
  static constexpr bool saves_inputs = true;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a / b;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient_a(T dy, T /*a*/, T b) {
    return dy / b;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient_b(T dy, T a, T b) {
    return -dy * a / (b * b);
  }
};

}  // namespace warptape
