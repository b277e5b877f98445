#pragma once
#include "core/simt/host_device.h"

namespace warptape {

struct SubFunctor {
  static constexpr bool saves_inputs = false;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a - b;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient_a(T dy, T /*a*/, T /*b*/) {
    return dy;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient_b(T dy, T /*a*/, T /*b*/) {
    return -dy;
  }
};

}  // namespace warptape
