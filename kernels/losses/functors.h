#pragma once
// The arithmetic of every loss that goes element by element, written once for the CPU and for CUDA
// kernels; losses/table.h makes ops of them. A loss has
//
//   T value(T x, T target, T third): the loss of an element of the input
//   T by_input(T x, T target, T third), by_target, by_third: its derivatives
//   third: whether there is a third tensor, and how it is laid along the input; its elements are 1
//     where none was given, or levels of the functor's own along the last dimension
//
// and, as members, how it is reduced and its options, with PyTorch's names and defaults. It may
// have
//
//   options(visit): calls visit(name, member) for each option
//   BadOption bad_option() const: the option that is out of range
//   static bool refuses(T third): an element out of range; `refusal` is what the error says of it
//
// All arithmetic is in Compute of the tensors' dtype, sums are in float64. Values and gradients of
// infinities and NaN are PyTorch's.

#include <cmath>
#include <cstdint>

#include "core/simt/host_device.h"
#include "kernels/reduce/reduction.h"

namespace warptape::losses {

// Leading: its dimensions are the input's first ones. Trailing: the last ones, as NumPy has it.
// Either way 1 repeats.
enum class Third { None, Leading, Trailing, Levels };

// Whether there is a third tensor; whether some of its elements are out of range.
template <class Functor>
inline constexpr bool has_third =
    Functor::third == Third::Leading || Functor::third == Third::Trailing;
template <class Functor>
inline constexpr bool refuses = requires {
  Functor::refusal;
};

inline constexpr double half_log_2_pi = 0.91893853320467274178;

struct BadOption {
  const char* name = nullptr;  // none is bad
  double value = 0;
  const char* wanted = nullptr;
};

// (x - target)^2.
struct Mse {
  Reduction reduction = Reduction::Mean;
  static constexpr Third third = Third::None;
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T) const {
    return (x - target) * (x - target);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T) const {
    return T(2) * (x - target);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T target, T) const {
    return -by_input(x, target, T(1));
  }
};

// |x - target|; the gradient is 0 where they are equal, or one is NaN.
struct L1 {
  Reduction reduction = Reduction::Mean;
  static constexpr Third third = Third::None;
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T) const {
    return std::abs(x - target);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T) const {
    return x > target ? T(1) : x < target ? T(-1) : T(0);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T target, T) const {
    return -by_input(x, target, T(1));
  }
};

// d^2 / 2 for d = |x - target| below delta, else delta (d - delta / 2). Huber 1964.
struct Huber {
  Reduction reduction = Reduction::Mean;
  double delta = 1;
  static constexpr Third third = Third::None;
  template <class Visit>
  void options(Visit&& visit) {
    visit("delta", delta);
  }
  BadOption bad_option() const {
    return delta > 0 ? BadOption{} : BadOption{"delta", delta, "a number above 0"};
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T) const {
    const T d = std::abs(x - target);
    const auto bound = static_cast<T>(delta);
    return d < bound ? T(0.5) * d * d : bound * (d - T(0.5) * bound);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T) const {
    const T d = x - target;
    const auto bound = static_cast<T>(delta);
    return d <= -bound ? -bound : d >= bound ? bound : d;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T target, T) const {
    return -by_input(x, target, T(1));
  }
};

// d^2 / (2 beta) for d = |x - target| below beta, else d - beta / 2; l1_loss where beta is 0.
// Girshick 2015.
struct SmoothL1 {
  Reduction reduction = Reduction::Mean;
  double beta = 1;
  static constexpr Third third = Third::None;
  template <class Visit>
  void options(Visit&& visit) {
    visit("beta", beta);
  }
  BadOption bad_option() const {
    return beta >= 0 ? BadOption{} : BadOption{"beta", beta, "0 or more"};
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T) const {
    const T d = std::abs(x - target);
    const auto bound = static_cast<T>(beta);
    return d < bound ? T(0.5) * d * d / bound : d - T(0.5) * bound;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T) const {
    const T d = x - target;
    const auto bound = static_cast<T>(beta);
    if (bound == T(0)) {
      return L1().by_input(x, target, T(1));
    }
    return d <= -bound ? T(-1) : d >= bound ? T(1) : d / bound;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T target, T) const {
    return -by_input(x, target, T(1));
  }
};

// -(pos_weight target log sigmoid(x) + (1 - target) log(1 - sigmoid(x))), without overflow for
// large |x|.
struct BceWithLogits {
  Reduction reduction = Reduction::Mean;
  static constexpr Third third = Third::Trailing;
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T pos_weight) const {
    const T weight = (pos_weight - T(1)) * target + T(1);
    return (T(1) - target) * x - weight * log_sigmoid(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T pos_weight) const {
    const T sigmoid = T(1) / (T(1) + std::exp(-x));
    const T positive = pos_weight * target;
    return (positive + T(1) - target) * sigmoid - positive;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T, T pos_weight) const {
    return pos_weight == T(1) ? -x : (T(1) - pos_weight) * log_sigmoid(x) - x;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_third(T x, T target, T) const {
    return -target * log_sigmoid(x);
  }

 private:
  template <class T>
  static WARPTAPE_HOST_DEVICE T log_sigmoid(T x) {
    return (x < T(0) ? x : T(0)) - std::log1p(std::exp(-std::abs(x)));
  }
};

// (log v + (x - target)^2 / v) / 2 where v is var, but at least eps; log(2 pi) / 2 more with
// `full`. The gradient by var is that by v, also below eps. Nix, Weigend 1994.
struct GaussianNll {
  Reduction reduction = Reduction::Mean;
  bool full = false;
  double eps = 1e-6;
  static constexpr Third third = Third::Leading;
  template <class Visit>
  void options(Visit&& visit) {
    visit("full", full), visit("eps", eps);
  }
  static constexpr const char* refusal = "var: got an element below 0, wanted 0 or more";
  BadOption bad_option() const {
    return eps >= 0 ? BadOption{} : BadOption{"eps", eps, "0 or more"};
  }
  template <class T>
  static WARPTAPE_HOST_DEVICE bool refuses(T var) {
    return var < T(0);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T var) const {
    const T v = clamped(var);
    const T d = x - target;
    return T(0.5) * (std::log(v) + d * d / v) + (full ? T(half_log_2_pi) : T(0));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T var) const {
    return (x - target) / clamped(var);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T target, T var) const {
    return -by_input(x, target, var);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_third(T x, T target, T var) const {
    const T ratio = by_input(x, target, var);
    return T(0.5) * (T(1) / clamped(var) - ratio * ratio);
  }

 private:
  template <class T>
  WARPTAPE_HOST_DEVICE T clamped(T var) const {
    return var < static_cast<T>(eps) ? static_cast<T>(eps) : var;
  }
};

// q (target - x) where the target is above x, else (1 - q) (x - target), for the level q of the
// element's place in the last dimension. Where they are equal each side has half of the gradient.
// Koenker, Bassett 1978.
struct Quantile {
  static constexpr int64_t most_levels = 128;
  Reduction reduction = Reduction::Mean;
  double levels[most_levels] = {};
  static constexpr Third third = Third::Levels;
  template <class T>
  WARPTAPE_HOST_DEVICE T value(T x, T target, T q) const {
    const T d = target - x;
    return d > T(0) ? q * d : (q - T(1)) * d;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_input(T x, T target, T q) const {
    return target > x ? -q : target < x ? T(1) - q : T(0.5) - q + (x - target);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T by_target(T x, T target, T q) const {
    return -by_input(x, target, q);
  }
};

}  // namespace warptape::losses
