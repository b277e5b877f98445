#pragma once
#include <cmath>

#include "core/simt/host_device.h"

namespace warptape {

struct SoftmaxFunctor {
  template <class T>
  static WARPTAPE_HOST_DEVICE T kept(T x) {
    return std::exp(x);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T exponential(T kept) {
    return kept;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T factor(double total) {
    return static_cast<T>(1 / total);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T value(T kept, T factor) {
    return kept * factor;
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE double term(T dy, T y) {
    return static_cast<double>(dy) * static_cast<double>(y);
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T y, T sum) {
    return y * (dy - sum);
  }
};

}  // namespace warptape
