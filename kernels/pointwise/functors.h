#pragma once
// The arithmetic of every op that goes element by element, written once for the CPU and for CUDA
// kernels. pointwise/table.h makes ops of them. An op of one tensor has
//
//   T forward(T x): the function
//   T gradient(T dy, T saved): dy times the derivative
//   saves: what gradient reads, the op's input, its output or nothing
//
// and, where it has options, members with PyTorch's names and defaults, and options(visit), which
// calls visit(name, member) for each. An op of two tensors has
//
//   T forward(T a, T b): the function
//   GradientA, GradientB: its gradients by each. One has
//     reads: what it reads of the operand whose gradient it is (own) and of the other
//     T gradient(T dy, T own, T other): dy times the derivative. What it does not read is 0.
//   Ops that have one in common share its kernels, and table.h lists each once.
//
// A comparison, of any dtype, has
//
//   bool holds(T a, T b)
//
// A NaN stays one, forward and, where the derivative depends on x, backward.

#include <cmath>

#include "core/simt/host_device.h"
#include "kernels/pointwise/operands_read.h"

namespace warptape {

enum class Saves { Nothing, Input, Output };

namespace pointwise {

inline constexpr double root_half = 0.70710678118654752440;
inline constexpr double two_over_root_pi = 1.12837916709551257390;
inline constexpr double density_at_0 = 0.39894228040143267794;  // of the normal distribution

// ---- of one tensor ----------------------------------------------------------------------------

// |x|; the gradient at 0 is 0.
struct Abs {
  static constexpr Saves saves = Saves::Input;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::abs(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return x > T(0) ? dy : x < T(0) ? -dy : dy * x;  // 0 or NaN
  }
};

// x, but at least min and at most max; max where min is above it. The gradient is dy between min
// and max, and 0 elsewhere, at both ends too, as PyTorch 2.15 has it.
struct Clamp {
  double min = -HUGE_VAL;
  double max = HUGE_VAL;
  static constexpr Saves saves = Saves::Input;
  template <class Visit>
  void options(Visit&& visit) {
    visit("min", min), visit("max", max);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    const auto low = static_cast<T>(min);
    const auto high = static_cast<T>(max);
    const T raised = x < low ? low : x;
    return raised > high ? high : raised;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return x > static_cast<T>(min) && x < static_cast<T>(max) ? dy : T(0);
  }
};

// x above 0, else alpha (e^x - 1). Clevert, Unterthiner, Hochreiter 2016.
struct Elu {
  double alpha = 1;
  static constexpr Saves saves = Saves::Input;
  template <class Visit>
  void options(Visit&& visit) {
    visit("alpha", alpha);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return x > T(0) ? x : static_cast<T>(alpha) * std::expm1(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return x > T(0) ? dy : dy * (static_cast<T>(alpha) * std::exp(x));
  }
};

// The error function, 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.
struct Erf {
  static constexpr Saves saves = Saves::Input;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::erf(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return dy * (T(two_over_root_pi) * std::exp(-(x * x)));
  }
};

// e to the power x.
struct Exp {
  static constexpr Saves saves = Saves::Output;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::exp(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T y) const {
    return dy * y;
  }
};

// x times the normal distribution function of x; with `tanh` its approximation
// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Hendrycks, Gimpel 2016.
struct Gelu {
  bool tanh = false;  // PyTorch's approximate="tanh"
  static constexpr Saves saves = Saves::Input;
  template <class Visit>
  void options(Visit&& visit) {
    visit("tanh", tanh);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return tanh ? T(0.5) * x * (T(1) + std::tanh(inner(x)))
                : T(0.5) * x * (T(1) + std::erf(x * T(root_half)));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    if (tanh) {
      const T t = std::tanh(inner(x));
      const T slope = T(root_2_over_pi) * (T(1) + T(3 * cubic) * x * x);
      return dy * (T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * slope);
    }
    const T below = T(0.5) * (T(1) + std::erf(x * T(root_half)));
    const T density = T(density_at_0) * std::exp(T(-0.5) * x * x);
    return dy * (below + x * density);
  }

 private:
  static constexpr double root_2_over_pi = 0.79788456080286535588;
  static constexpr double cubic = 0.044715;
  template <class T>
  static WARPTAPE_HOST_DEVICE T inner(T x) {
    return T(root_2_over_pi) * (x + T(cubic) * x * x * x);
  }
};

// x above 0, else negative_slope x, as its gradient at 0 is.
struct LeakyRelu {
  double negative_slope = 0.01;
  static constexpr Saves saves = Saves::Input;
  template <class Visit>
  void options(Visit&& visit) {
    visit("negative_slope", negative_slope);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return x > T(0) ? x : static_cast<T>(negative_slope) * x;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return x > T(0) ? dy : static_cast<T>(negative_slope) * dy;
  }
};

// The natural logarithm; NaN below 0, -infinity at 0.
struct Log {
  static constexpr Saves saves = Saves::Input;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::log(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return dy / x;
  }
};

// -x.
struct Neg {
  static constexpr Saves saves = Saves::Nothing;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return -x;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T) const {
    return -dy;
  }
};

// x to the power `exponent`; NaN below 0 unless that is a whole number. The gradient is 0 where the
// exponent is.
struct Pow {
  double exponent;
  static constexpr Saves saves = Saves::Input;
  template <class Visit>
  void options(Visit&& visit) {
    visit("exponent", exponent);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::pow(x, static_cast<T>(exponent));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    return exponent == 0
               ? T(0)
               : dy * (static_cast<T>(exponent) * std::pow(x, static_cast<T>(exponent - 1)));
  }
};

// max(x, 0); the gradient at 0 is 0.
struct Relu {
  static constexpr Saves saves = Saves::Output;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return x < T(0) ? T(0) : x;
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T y) const {
    return y <= T(0) ? T(0) : dy;
  }
};

// 1 / sqrt(x).
struct Rsqrt {
  static constexpr Saves saves = Saves::Output;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return T(1) / std::sqrt(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T y) const {
    return T(-0.5) * dy * (y * y * y);
  }
};

// 1 / (1 + e^-x).
struct Sigmoid {
  static constexpr Saves saves = Saves::Output;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return T(1) / (T(1) + std::exp(-x));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T y) const {
    return dy * (y * (T(1) - y));
  }
};

// x sigmoid(x), also called swish.
struct Silu {
  static constexpr Saves saves = Saves::Input;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return x / (T(1) + std::exp(-x));
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    const T s = T(1) / (T(1) + std::exp(-x));
    return dy * (s * (T(1) + x * (T(1) - s)));
  }
};

// log(1 + e^(beta x)) / beta; x itself where beta x is above the threshold.
struct Softplus {
  double beta = 1;
  double threshold = 20;
  static constexpr Saves saves = Saves::Input;
  template <class Visit>
  void options(Visit&& visit) {
    visit("beta", beta), visit("threshold", threshold);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    const T z = static_cast<T>(beta) * x;
    return z > static_cast<T>(threshold) ? x : std::log1p(std::exp(z)) / static_cast<T>(beta);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T x) const {
    const T z = static_cast<T>(beta) * x;
    return z > static_cast<T>(threshold) ? dy : dy / (T(1) + std::exp(-z));
  }
};

// The square root; NaN below 0.
struct Sqrt {
  static constexpr Saves saves = Saves::Output;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::sqrt(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T y) const {
    return dy / (T(2) * y);
  }
};

// The hyperbolic tangent.
struct Tanh {
  static constexpr Saves saves = Saves::Output;
  template <class T>
  WARPTAPE_HOST_DEVICE T forward(T x) const {
    return std::tanh(x);
  }
  template <class T>
  WARPTAPE_HOST_DEVICE T gradient(T dy, T y) const {
    return dy * (T(1) - y * y);
  }
};

// ---- gradients of ops of two tensors ----------------------------------------------------------

// dy.
struct Same {
  static constexpr Reads reads = Reads::Nothing;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T, T) {
    return dy;
  }
};

// -dy.
struct Negated {
  static constexpr Reads reads = Reads::Nothing;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T, T) {
    return -dy;
  }
};

// dy other.
struct TimesOther {
  static constexpr Reads reads = Reads::Other;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T, T other) {
    return dy * other;
  }
};

// dy / other.
struct OverOther {
  static constexpr Reads reads = Reads::Other;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T, T other) {
    return dy / other;
  }
};

// Of a divisor: -dy other / own^2.
struct OfDivisor {
  static constexpr Reads reads = Reads::Both;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T own, T other) {
    return -dy * other / (own * own);
  }
};

// dy to the larger one. Where they are equal, each gets half of it; where one is NaN, all of it.
struct ToLarger {
  static constexpr Reads reads = Reads::Both;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T own, T other) {
    return own < other ? T(0) : own == other ? dy / T(2) : dy;
  }
};

// dy to the smaller one, else as ToLarger.
struct ToSmaller {
  static constexpr Reads reads = Reads::Both;
  template <class T>
  static WARPTAPE_HOST_DEVICE T gradient(T dy, T own, T other) {
    return own > other ? T(0) : own == other ? dy / T(2) : dy;
  }
};

// ---- of two tensors ---------------------------------------------------------------------------

// a + b.
struct Add {
  using GradientA = Same;
  using GradientB = Same;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a + b;
  }
};

// a / b.
struct Div {
  using GradientA = OverOther;
  using GradientB = OfDivisor;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a / b;
  }
};

// The larger one.
struct Maximum {
  using GradientA = ToLarger;
  using GradientB = ToLarger;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a != a || a > b ? a : b;
  }
};

// The smaller one.
struct Minimum {
  using GradientA = ToSmaller;
  using GradientB = ToSmaller;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a != a || a < b ? a : b;
  }
};

// a * b.
struct Mul {
  using GradientA = TimesOther;
  using GradientB = TimesOther;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a * b;
  }
};

// a - b.
struct Sub {
  using GradientA = Same;
  using GradientB = Negated;
  template <class T>
  static WARPTAPE_HOST_DEVICE T forward(T a, T b) {
    return a - b;
  }
};

// ---- comparisons ------------------------------------------------------------------------------

// With a NaN on either side ne holds, and nothing else does.

// a == b.
struct Eq {
  template <class T>
  static WARPTAPE_HOST_DEVICE bool holds(T a, T b) {
    return a == b;
  }
};

// a >= b.
struct Ge {
  template <class T>
  static WARPTAPE_HOST_DEVICE bool holds(T a, T b) {
    return a >= b;
  }
};

// a > b.
struct Gt {
  template <class T>
  static WARPTAPE_HOST_DEVICE bool holds(T a, T b) {
    return a > b;
  }
};

// a <= b.
struct Le {
  template <class T>
  static WARPTAPE_HOST_DEVICE bool holds(T a, T b) {
    return a <= b;
  }
};

// a < b.
struct Lt {
  template <class T>
  static WARPTAPE_HOST_DEVICE bool holds(T a, T b) {
    return a < b;
  }
};

// a != b.
struct Ne {
  template <class T>
  static WARPTAPE_HOST_DEVICE bool holds(T a, T b) {
    return a != b;
  }
};

}  // namespace pointwise
}  // namespace warptape
