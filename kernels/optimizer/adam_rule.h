#pragma once
#include <cmath>
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

template <class T>
struct AdamRule;

struct AdamConstants {
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  bool decoupled;  // AdamW: the decay shrinks the value instead of adding to the gradient

  template <class T>
  using Rule = AdamRule<T>;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// base to a whole power, by squaring: the same bits on every device, and no call on a GPU. Its
// error of about exponent x 1e-16 vanishes in 1 - beta^step.
WARPTAPE_HOST_DEVICE inline double power(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent /= 2) {
    result = exponent % 2 == 1 ? result * base : result;
    base *= base;
  }
  return result;
}

template <class T>
struct AdamRule {
  using Constants = AdamConstants;
  static constexpr int buffers = 2;

  T rate;
  T root_correction2;
  T shrink;
  T decay;
  T fresh1;
  T beta2;
  T fresh2;
  T eps;
  bool first;

  static WARPTAPE_HOST_DEVICE AdamRule make(const AdamConstants& constants, double learning_rate,
                                            int64_t step) {
    const double correction1 = 1 - power(constants.beta1, step);
    const double correction2 = 1 - power(constants.beta2, step);
    const double shrink = constants.decoupled ? 1 - learning_rate * constants.weight_decay : 1;
    AdamRule rule;
    rule.rate = static_cast<T>(learning_rate / correction1);
    rule.root_correction2 = static_cast<T>(::sqrt(correction2));
    rule.shrink = static_cast<T>(shrink);
    rule.decay = static_cast<T>(constants.decoupled ? 0 : constants.weight_decay);
    rule.fresh1 = static_cast<T>(1 - constants.beta1);
    rule.beta2 = static_cast<T>(constants.beta2);
    rule.fresh2 = static_cast<T>(1 - constants.beta2);
    rule.eps = static_cast<T>(constants.eps);
    rule.first = step == 1;
    return rule;
  }

  // buffer: the means of gradients and of their squares; they start at 0.
  WARPTAPE_HOST_DEVICE void operator()(T& value, T grad, T (&buffer)[buffers]) const {
    T& mean = buffer[0];
    T& square = buffer[1];
    const T gradient = grad + decay * value;
    const T old_mean = first ? T(0) : mean;
    const T old_square = first ? T(0) : square;
    mean = old_mean + fresh1 * (gradient - old_mean);
    square = beta2 * old_square + fresh2 * gradient * gradient;
    const T denominator = std::sqrt(square) / root_correction2 + eps;
    value = shrink * value - rate * (mean / denominator);
  }
};

}  // namespace warptape
