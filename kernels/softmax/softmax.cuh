#pragma once
// The sums that softmax, log-softmax and cross-entropy share.

#include <cmath>
#include <limits>

#include "kernels/rows/rows.cuh"

namespace warptape::rows {

// Of elements x: the largest one, and the sum of exp(x - largest).
template <class T>
struct MaxAndTotal {
  T largest;
  double total;
};

template <class T>
__device__ MaxAndTotal<T> max_and_total_of_nothing() {
  return {-std::numeric_limits<T>::infinity(), 0};
}

template <class T>
__device__ MaxAndTotal<T> shuffle_xor(MaxAndTotal<T> value, int lane_mask) {
  return {simt::shuffle_xor(value.largest, lane_mask), simt::shuffle_xor(value.total, lane_mask)};
}

// exp(x - largest), where minus infinity counts nothing even if it is the largest so far. A NaN
// stays one; two infinities give one, as on the CPU.
template <class T>
__device__ T weight(T x, T largest) {
  return x == -std::numeric_limits<T>::infinity() ? T(0) : std::exp(x - largest);
}

template <class T>
__device__ MaxAndTotal<T> combine(const MaxAndTotal<T>& a, const MaxAndTotal<T>& b) {
  const bool b_leads = b.largest > a.largest;
  const T high = b_leads ? b.largest : a.largest;
  const T low = b_leads ? a.largest : b.largest;
  const double of_high = b_leads ? b.total : a.total;
  const double of_low = b_leads ? a.total : b.total;
  return {high, of_high + of_low * static_cast<double>(weight(low, high))};
}

// The largest one first, so that each element costs one exponential.
template <class T, class Items>
__device__ void add_elements(MaxAndTotal<T>& state, const Items& items) {
  T largest = state.largest;
  items([&](int64_t, const T(&x)[1]) { largest = x[0] > largest ? x[0] : largest; });
  double total = state.total * static_cast<double>(weight(state.largest, largest));
  items([&](int64_t, const T(&x)[1]) { total += static_cast<double>(weight(x[0], largest)); });
  state = {largest, total};
}

}  // namespace warptape::rows
