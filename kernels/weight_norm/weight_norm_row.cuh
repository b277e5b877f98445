#pragma once
// What weight norm computes of a row, once its sum is known. Norms and dot products accumulate in
// double, elements are scaled in Compute<T>.

#include "core/element_types.h"
#include "core/simt/packs.cuh"
#include "kernels/multi_tensor/launch_table.h"
#include "kernels/reduce/robust_norm.h"
#include "kernels/weight_norm/weight_norm_cuda.h"
#include "kernels/weight_norm/weight_norm_geometry.h"

namespace warptape::weight_norm_detail {

template <class Weight>
struct Entry {
  Weight weight;
  Geometry geometry;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    weight.for_each_pointer(visit);
  }
};
template <class Weight>
using Table = LaunchTable<Entry<Weight>, 128>;

// How v becomes w. v is brought near 1 by a power of two first, so that nothing overflows or
// vanishes that the result does not.
template <class T>
struct Scaling {
  Compute<T> unit;
  Compute<T> gain;
  __device__ T operator()(T v) const { return static_cast<T>(gain * (v * unit)); }
};

// A pack of elements of w, rounded where w is narrower than v: to 8 bytes.
template <class T, class W>
__device__ void store_rounded(W* w, const simt::Pack16<T>& value) {
  if constexpr (sizeof(W) == sizeof(T)) {
    simt::store16(w, value);
  } else {
    simt::store8(w, simt::cast_pack<W>(value));
  }
}

// What the norm of a row gives. A row of zeros gives zeros.
template <class T>
struct RowScale {
  double norm;
  double inverse;
  Scaling<T> scaling;
};
template <class T, class W>
__device__ RowScale<T> row_scale(const WeightNormForward<T, W>& weight, int64_t row, double norm) {
  const double gain = weight.g == nullptr ? 0.0 : static_cast<double>(weight.g[row]);
  const double unit = unit_for<T>(norm);
  return {norm,
          finite_inverse(norm),
          {static_cast<Compute<T>>(unit),
           static_cast<Compute<T>>(norm == 0 ? 0.0 : gain / (norm * unit))}};
}
template <class T, class W>
__device__ void store_norm(const WeightNormForward<T, W>& weight, int64_t row,
                           const RowScale<T>& scale) {
  if (weight.inv_norm != nullptr) {
    weight.inv_norm[row] = scale.inverse;
  }
  if (weight.norm != nullptr) {
    weight.norm[row] = static_cast<T>(scale.norm);
  }
}

// The norm of what a team, a warp or a thread holds: sum_squares(factor) gives the sum of the
// squares of the elements times factor, for each thread that asks; slot counts the sums.
template <class T, class SumSquares>
__device__ double norm_of(const SumSquares& sum_squares) {
  const double sum = sum_squares(1.0, 0);
  if constexpr (squares_need_scaling<T>) {
    const double of_enlarged = sum_squares(enlarging, 1);
    return robust_root(sum, of_enlarged, sum_squares(reducing, 2));
  } else {
    return sqrt(sum);
  }
}
// Calls visit(factor, slot) for the same sums.
template <class T, class Visit>
__device__ void visit_sums_of_norm(const Visit& visit) {
  visit(1.0, 0);
  if constexpr (squares_need_scaling<T>) {
    visit(enlarging, 1);
    visit(reducing, 2);
  }
}
// Sums that norm_of takes: each has shared memory of its own, so that no barrier stands between.
template <class T>
inline constexpr int sums_of_norm = squares_need_scaling<T> ? 3 : 1;

// What the products of dw and v are taken with before they are summed: products of doubles as those
// with v / ||v||, which keeps them from vanishing. Those of floats fit a double as they are.
template <class T>
__device__ double factor_of_products(const WeightNormBackward<T>& weight, int64_t row) {
  if constexpr (squares_need_scaling<T>) {
    return weight.inv_norm[row];
  } else {
    return 1;
  }
}
template <class T>
__device__ double product(T dw, T v, double factor) {
  if constexpr (squares_need_scaling<T>) {
    return dw * (v * factor);
  } else {
    return static_cast<double>(dw) * static_cast<double>(v);
  }
}

// dv = g r (dw - v r projection), dg = projection = dw . v r, with r = 1 / ||v||. Multiplied in an
// order in which nothing overflows that the result does not.
template <class T>
struct RowGradient {
  Compute<T> scale;
  Compute<T> inverse;
  Compute<T> projection;
  __device__ Compute<T> operator()(T dw, T v) const {
    return scale * (dw - (v * inverse) * projection);
  }
};
// sum: of product() over the row.
template <class T>
__device__ RowGradient<T> row_gradient(const WeightNormBackward<T>& weight, int64_t row,
                                       double sum) {
  const double inverse = weight.inv_norm[row];
  return {static_cast<Compute<T>>(static_cast<double>(weight.g[row]) * inverse),
          static_cast<Compute<T>>(inverse),
          static_cast<Compute<T>>(squares_need_scaling<T> ? sum : sum * inverse)};
}
template <class T>
__device__ void store_gain_gradient(const WeightNormBackward<T>& weight, int64_t row,
                                    const RowGradient<T>& gradient) {
  if (weight.dg != nullptr) {
    weight.dg[row] = written(weight.add_g, weight.dg[row], gradient.projection);
  }
}

}  // namespace warptape::weight_norm_detail
