#pragma once
#include <cmath>

#include "core/simt/host_device.h"

namespace warptape {

struct LogFunctor {
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T x) {
    return std::log(x);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T x) {
    return dy / x;
  }
};

}  // namespace warptape
