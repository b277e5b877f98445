#pragma once
#include <cmath>
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

template <class T>
struct RmsPropRule;

struct RmsPropConstants {
  double alpha;
  double eps;
  double weight_decay;
  double momentum;
  bool centered;

  template <class T>
  using Rule = RmsPropRule<T>;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class T>
struct RmsPropRule {
  using Constants = RmsPropConstants;
  static constexpr int buffers = 3;

  T rate;
  T alpha;
  T fresh;
  T eps;
  T decay;
  T momentum;
  bool first;
  bool centered;
  bool has_momentum;

  static WARPTAPE_HOST_DEVICE RmsPropRule make(const RmsPropConstants& constants,
                                               double learning_rate, int64_t step) {
    RmsPropRule rule;
    rule.rate = static_cast<T>(learning_rate);
    rule.alpha = static_cast<T>(constants.alpha);
    rule.fresh = static_cast<T>(1 - constants.alpha);
    rule.eps = static_cast<T>(constants.eps);
    rule.decay = static_cast<T>(constants.weight_decay);
    rule.momentum = static_cast<T>(constants.momentum);
    rule.first = step == 1;
    rule.centered = constants.centered;
    rule.has_momentum = constants.momentum != 0;
    return rule;
  }

  // buffer: the mean of squares; the velocity, not used without momentum; the mean of gradients, of
  // centered alone. They start at 0.
  WARPTAPE_HOST_DEVICE void operator()(T& value, T grad, T (&buffer)[buffers]) const {
    const T gradient = grad + decay * value;
    const T square = alpha * (first ? T(0) : buffer[0]) + fresh * gradient * gradient;
    buffer[0] = square;
    T variance = square;
    if (centered) {
      const T old_mean = first ? T(0) : buffer[2];
      const T mean = old_mean + fresh * (gradient - old_mean);
      buffer[2] = mean;
      variance = square - mean * mean;
      // Rounding makes it negative where gradients hardly change; PyTorch's step is NaN then.
      variance = variance < T(0) ? T(0) : variance;
    }
    T direction = gradient / (std::sqrt(variance) + eps);
    if (has_momentum) {
      direction = momentum * (first ? T(0) : buffer[1]) + direction;
      buffer[1] = direction;
    }
    value -= rate * direction;
  }
};

}  // namespace warptape
