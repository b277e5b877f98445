#pragma once
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

// What Muon (training/optimizers/muon.h) does element by element, before and behind what it does
// with whole matrices.

template <class T>
struct MomentumRule;
template <class T>
struct DirectionRule;

// The mean of gradients, and the direction that they give: with nesterov, from the gradient on
// towards the mean. The direction stands where other rules have the value, and is written alone.
struct MomentumConstants {
  double momentum;
  bool nesterov;

  template <class T>
  using Rule = MomentumRule<T>;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

// A step along a direction, which stands where other rules have the gradient.
struct DirectionConstants {
  double weight_decay;  // decoupled

  template <class T>
  using Rule = DirectionRule<T>;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

template <class T>
struct MomentumRule {
  using Constants = MomentumConstants;
  static constexpr int buffers = 1;

  T momentum;
  T fresh;
  bool nesterov;

  static WARPTAPE_HOST_DEVICE MomentumRule make(const MomentumConstants& constants,
                                                double /*learning_rate*/, int64_t /*step*/) {
    return {static_cast<T>(constants.momentum), static_cast<T>(1 - constants.momentum),
            constants.nesterov};
  }

  // buffer: the mean, of zeros before the first step.
  WARPTAPE_HOST_DEVICE void operator()(T& direction, T grad, T (&buffer)[buffers]) const {
    T& mean = buffer[0];
    mean += fresh * (grad - mean);
    direction = nesterov ? grad + momentum * (mean - grad) : mean;
  }
};

template <class T>
struct DirectionRule {
  using Constants = DirectionConstants;
  static constexpr int buffers = 1;  // that it does not use

  T rate;
  T shrink;

  static WARPTAPE_HOST_DEVICE DirectionRule make(const DirectionConstants& constants,
                                                 double learning_rate, int64_t /*step*/) {
    return {static_cast<T>(learning_rate),
            static_cast<T>(1 - learning_rate * constants.weight_decay)};
  }

  WARPTAPE_HOST_DEVICE void operator()(T& value, T direction, T (&)[buffers]) const {
    value = shrink * value - rate * direction;
  }
};

}  // namespace warptape
