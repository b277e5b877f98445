#pragma once
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

template <class T>
struct SgdRule;

struct SgdConstants {
  double momentum;
  double dampening;
  double weight_decay;
  bool nesterov;

  template <class T>
  using Rule = SgdRule<T>;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class T>
struct SgdRule {
  using Constants = SgdConstants;
  static constexpr int buffers = 1;

  T rate;
  T momentum;
  T fresh;
  T decay;
  bool first;
  bool nesterov;
  bool has_momentum;

  static WARPTAPE_HOST_DEVICE SgdRule make(const SgdConstants& constants, double learning_rate,
                                           int64_t step) {
    SgdRule rule;
    rule.rate = static_cast<T>(learning_rate);
    rule.momentum = static_cast<T>(constants.momentum);
    rule.fresh = static_cast<T>(1 - constants.dampening);
    rule.decay = static_cast<T>(constants.weight_decay);
    rule.first = step == 1;
    rule.nesterov = constants.nesterov;
    rule.has_momentum = constants.momentum != 0;
    return rule;
  }

  // buffer: the velocity, which starts as the gradient itself; not used without momentum.
  WARPTAPE_HOST_DEVICE void operator()(T& value, T grad, T (&buffer)[buffers]) const {
    T direction = grad + decay * value;
    if (has_momentum) {
      const T velocity = first ? direction : momentum * buffer[0] + fresh * direction;
      buffer[0] = velocity;
      direction = nesterov ? direction + momentum * velocity : velocity;
    }
    value -= rate * direction;
  }
};

}  // namespace warptape
