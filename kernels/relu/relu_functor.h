#pragma once
#include "core/simt/host_device.h"

namespace warptape {

struct ReluFunctor {
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T x) {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T y) {
    return y <= T(0) ? T(0) : dy;
  }
};

}  // namespace warptape
