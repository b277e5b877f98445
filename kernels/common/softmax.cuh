#pragma once
// What softmax, log-softmax and cross-entropy share.

#include <cmath>
#include <limits>

#include "kernels/common/rows.cuh"

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

// ---- what softmax's and log-softmax's Ops have in common --------------------------------------

struct NothingPerBlock : elementwise::NoPointers {
  struct Block {};
  __device__ Block prepare() const { return {}; }
  __device__ void finish(const Block&) const {}
  template <class Row>
  __device__ void begin(int64_t, bool, Row&) const {}
};

template <class T>
struct SoftmaxForward : NothingPerBlock {
  using Element = T;
  static constexpr int inputs = 1;
  struct Row {
    MaxAndTotal<T> state;
    T of_total;  // what the Op makes of the total
  };

  static __device__ MaxAndTotal<T> identity() { return max_and_total_of_nothing<T>(); }
  static __device__ MaxAndTotal<T> combine(const MaxAndTotal<T>& a, const MaxAndTotal<T>& b) {
    return rows::combine(a, b);
  }
  template <class Items>
  __device__ void add(Row& row, const Block&, const Items& items) const {
    add_elements(row.state, items);
  }
};

// Inputs dy and y. Own::term is what is summed over a row.
template <class T, class Own>
struct SoftmaxBackward : NothingPerBlock {
  using Element = T;
  static constexpr int inputs = 2;
  struct Row {
    double state;
  };

  static __device__ double identity() { return 0; }
  static __device__ double combine(double a, double b) { return a + b; }
  template <class Items>
  __device__ void add(Row& row, const Block&, const Items& items) const {
    items([&](int64_t, const T(&v)[2]) { row.state += Own::term(v[0], v[1]); });
  }
  __device__ void complete(Row&, const Block&, bool) const {}
};

}  // namespace warptape::rows
