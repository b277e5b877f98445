#pragma once
#include <cmath>
#include <limits>

namespace warptape {

// A NaN without its sign, which is of no meaning and which fmt would print.
inline double plain_nan(double value) {
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
}

}  // namespace warptape
