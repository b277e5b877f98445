#pragma once
// Norms of doubles whose squares overflow or vanish, for the CPU and for kernels.

#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/simt/host_device.h"

namespace warptape {

// Sums of squares of floats fit doubles whatever the floats are. Of doubles three sums are taken:
// of the squares, and of those of the elements times each of these powers of two.
template <class T>
inline constexpr bool squares_need_scaling = sizeof(T) > 4;
inline constexpr double enlarging = 0x1p+550;
inline constexpr double reducing = 0x1p-550;

// The sum of squares is used where what vanished in it is below its rounding.
WARPTAPE_HOST_DEVICE inline bool is_safe_sum_of_squares(double sum) {
  return sum >= 0x1p-900 && sum <= 0x1p+1000;
}

// The root of the sum of squares, given the other two sums. Zero, infinity and NaN come through.
WARPTAPE_HOST_DEVICE inline double robust_root(double sum, double of_enlarged, double of_reduced) {
  if (is_safe_sum_of_squares(sum)) {
    return ::sqrt(sum);
  }
  return sum < 1 ? ::sqrt(of_enlarged) * reducing : ::sqrt(of_reduced) * enlarging;
}

// A power of two that brings x (above 0) to [1, 4), or as near as a T can hold such a power, whose
// inverse it can hold, too. 1 for zero.
template <class T>
WARPTAPE_HOST_DEVICE double unit_for(double x) {
  constexpr int64_t most = sizeof(T) > 4 ? 1021 : 125;
  uint64_t bits = 0;
  memcpy(&bits, &x, sizeof bits);
  if (bits == 0) {
    return 1;
  }
  const auto exponent = static_cast<int64_t>((bits >> 52) & 2047) - 1023;
  const int64_t wanted = exponent > most ? -most : exponent < -most ? most : -exponent;
  bits = static_cast<uint64_t>(wanted + 1023) << 52;
  double unit = 0;
  memcpy(&unit, &bits, sizeof unit);
  return unit;
}

// 1 / norm, 0 for zero; the largest double where there is no such number.
WARPTAPE_HOST_DEVICE inline double finite_inverse(double norm) {
  if (norm == 0) {
    return 0;
  }
  const double inverse = 1 / norm;
  return inverse > 0x1.fffffffffffffp+1023 ? 0x1.fffffffffffffp+1023 : inverse;
}

}  // namespace warptape
