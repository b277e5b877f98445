#pragma once
// The update rules of optimizers for one element, written once for the CPU and for CUDA. Rules and
// the order of operations are PyTorch's (torch.optim.SGD, Adam, AdamW), in the parameter's
// dtype; in float32 of bfloat16.

#include <cmath>
#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

struct SgdConstants {
  double momentum;
  double dampening;
  double weight_decay;
  bool nesterov;

  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

struct AdamConstants {
  double beta1;
  double beta2;
  double eps;
  double weight_decay;
  bool decoupled;  // AdamW: the decay shrinks the value instead of adding to the gradient

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

// A rule is made once per parameter and step from what is constant there, then applied to every
// element. step counts the parameter's updates, this one included; at 1 the buffers hold nothing
// yet.
template <class T>
struct SgdRule {
  using Constants = SgdConstants;

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
  WARPTAPE_HOST_DEVICE void operator()(T& value, T grad, T& buffer, T& /*unused*/) const {
    T direction = grad + decay * value;
    if (has_momentum) {
      const T velocity = first ? direction : momentum * buffer + fresh * direction;
      buffer = velocity;
      direction = nesterov ? direction + momentum * velocity : velocity;
    }
    value -= rate * direction;
  }
};

template <class T>
struct AdamRule {
  using Constants = AdamConstants;

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

  // mean and square: of the gradients; they start at 0.
  WARPTAPE_HOST_DEVICE void operator()(T& value, T grad, T& mean, T& square) const {
    const T gradient = grad + decay * value;
    const T old_mean = first ? T(0) : mean;
    const T old_square = first ? T(0) : square;
    mean = old_mean + fresh1 * (gradient - old_mean);
    square = beta2 * old_square + fresh2 * gradient * gradient;
    const T denominator = std::sqrt(square) / root_correction2 + eps;
    value = shrink * value - rate * (mean / denominator);
  }
};

// What to scale gradients by so that their norm does not exceed max_norm, as
// torch.nn.utils.clip_grad_norm_. A norm that is NaN gives NaN.
WARPTAPE_HOST_DEVICE inline double clip_factor(double norm, double max_norm) {
  const double factor = max_norm / (norm + 1e-6);
  return factor >= 1 ? 1.0 : factor;
}

}  // namespace warptape
