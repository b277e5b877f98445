#pragma once
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

template <class T>
struct AverageRule;

// The exponential moving average of a parameter, as torch.optim.swa_utils.get_ema_multi_avg_fn: the
// average stands where other rules have the value, the parameter where they have its gradient, and
// the learning rate is not used.
struct AverageConstants {
  double decay;

  template <class T>
  using Rule = AverageRule<T>;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class T>
struct AverageRule {
  using Constants = AverageConstants;
  static constexpr int buffers = 1;  // that it does not use

  T decay;
  T fresh;
  bool first;
  bool from_parameter;

  static WARPTAPE_HOST_DEVICE AverageRule make(const AverageConstants& constants,
                                               double /*learning_rate*/, int64_t step) {
    AverageRule rule;
    rule.decay = static_cast<T>(constants.decay);
    rule.fresh = static_cast<T>(1 - constants.decay);
    rule.first = step == 1;
    rule.from_parameter = 1 - constants.decay >= 0.5;
    return rule;
  }

  // decay * average + (1 - decay) * parameter, from whichever of both is nearer, as torch.lerp: an
  // average that equals the parameter stays as it is, and decay 0 gives the parameter itself.
  WARPTAPE_HOST_DEVICE void operator()(T& average, T parameter, T (&)[buffers]) const {
    const T difference = parameter - average;
    const T next = from_parameter ? parameter - decay * difference : average + fresh * difference;
    average = first ? parameter : next;
  }
};

}  // namespace warptape
