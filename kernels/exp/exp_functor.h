#pragma once
#include <cmath>

#include "core/simt/host_device.h"

namespace warptape {

struct ExpFunctor {
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T x) {
    return std::exp(x);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T y) {
    return dy * y;
  }
};

}  // namespace warptape
