#pragma once
#include <cmath>

#include "core/simt/host_device.h"

namespace warptape {

struct LogSoftmaxFunctor {
  template <class T>
  static WARPTAPE_HOST_DEVICE T kept(T x) {
    return x;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T exponential(T kept) {
    return std::exp(kept);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T factor(double total) {
    return static_cast<T>(std::log(total));
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T value(T kept, T factor) {
    return kept - factor;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE double term(T dy, T) {
    return static_cast<double>(dy);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T y, T sum) {
    return dy - std::exp(y) * sum;
  }
};

}  // namespace warptape
