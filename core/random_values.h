#pragma once
// Random numbers from random words. Nothing but sums, products, quotients and square roots, whose
// rounding is the same everywhere: every device gives the same bits, which libraries' logarithms
// and cosines would not.

#include <cmath>
#include <cstring>

#include "core/philox.h"

namespace warptape {

// log(n / 2^32) for 1 <= n <= 2^32, to about 2 units in the last place.
WARPTAPE_HOST_DEVICE inline double log_of_fraction(uint64_t n) {
  double m = static_cast<double>(n);
  uint64_t bits;
  memcpy(&bits, &m, sizeof bits);
  auto exponent = static_cast<int>(bits >> 52) - 1023;
  bits = (bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000;
  memcpy(&m, &bits, sizeof bits);  // n = m * 2^exponent, 1 <= m < 2
  if (m > 1.4142135623730951) {
    m /= 2;
    ++exponent;
  }
  // log(m) = 2 atanh(s) by its series, |s| < 0.172.
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) {
    sum = sum * z + 1.0 / k;
  }
  return (exponent - 32) * 0.69314718055994531 + 2 * s * sum;
}

struct SinCos {
  double sin;
  double cos;
};

// Of the angle 2 pi word / 2^32.
WARPTAPE_HOST_DEVICE inline SinCos sin_cos_of_turn(uint32_t word) {
  // The nearest quarter of a turn, and what is left of the angle: at most pi / 4.
  const uint64_t quarter = (uint64_t{word} + (uint64_t{1} << 29)) >> 30;
  const int64_t left = static_cast<int64_t>(word) - static_cast<int64_t>(quarter << 30);
  const double angle = static_cast<double>(left) * (6.2831853071795865 * 0x1p-32);
  const double z = -angle * angle;
  double sin = 1;
  double cos = 1;
  for (int k = 18; k >= 2; k -= 2) {  // Taylor, from the last term on
    sin = sin * (z / (k * (k + 1))) + 1;
    cos = cos * (z / (k * (k - 1))) + 1;
  }
  sin *= angle;
  const bool is_odd = quarter % 2 == 1;
  const SinCos turned{is_odd ? cos : sin, is_odd ? sin : cos};
  const uint64_t q = quarter % 4;
  return {q >= 2 ? -turned.sin : turned.sin, q == 1 || q == 2 ? -turned.cos : turned.cos};
}

// Element i of a draw is (word i % 4 of block i / 4) as these make it.

// Normal: a pair of words gives a pair of elements (Box-Muller).
template <class T>
struct NormalValues {
  RandomStream stream;
  double mean;
  double std;

  WARPTAPE_HOST_DEVICE T operator()(const PhiloxBlock& words, size_t i) const {
    const size_t pair = i / 2 * 2;
    const double radius = std::sqrt(-2 * log_of_fraction(uint64_t{words[pair]} + 1));
    const SinCos turn = sin_cos_of_turn(words[pair + 1]);
    return static_cast<T>(mean + std * radius * (i % 2 == 0 ? turn.cos : turn.sin));
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {  // it may be a kernel's argument
    stream.for_each_pointer(visit);
  }
};

// Uniform in [low, low + range), of which `end` is the end and `last` the number before.
template <class T>
struct UniformValues {
  RandomStream stream;
  double low;
  double range;
  T end;
  T last;

  WARPTAPE_HOST_DEVICE T operator()(const PhiloxBlock& words, size_t i) const {
    const auto value = static_cast<T>(low + range * (words[i] * 0x1p-32));
    return value < end ? value : last;  // rounding must not reach the end
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    stream.for_each_pointer(visit);
  }
};

}  // namespace warptape
