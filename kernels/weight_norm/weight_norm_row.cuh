#pragma once
// What weight norm computes of a row, once its sum is known. Norms and dot products accumulate in
// double, elements are scaled in T.

#include "kernels/common/launch_table.h"
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

// What the norm of a row gives: its inverse, and what w is scaled by. A row of zeros gives zeros.
struct RowScale {
  double norm;
  double inverse;
  double scale;
};
template <class T>
__device__ RowScale row_scale(const WeightNormForward<T>& weight, int64_t row, double sum) {
  const double norm = sqrt(sum);
  const double gain = weight.g == nullptr ? 0.0 : static_cast<double>(weight.g[row]);
  return {norm, norm == 0 ? 0.0 : 1 / norm, norm == 0 ? 0.0 : gain / norm};
}
template <class T>
__device__ void store_norm(const WeightNormForward<T>& weight, int64_t row, const RowScale& scale) {
  if (weight.inv_norm != nullptr) {
    weight.inv_norm[row] = scale.inverse;
  }
  if (weight.norm != nullptr) {
    weight.norm[row] = static_cast<T>(scale.norm);
  }
}

// dv = g r (dw - v r projection), dg = projection = dw . v r, with r = 1 / ||v||. Multiplied in an
// order in which nothing overflows that the result does not.
template <class T>
struct RowGradient {
  T scale;
  T inverse;
  T projection;
  __device__ T operator()(T dw, T v) const { return scale * (dw - (v * inverse) * projection); }
};
template <class T>
__device__ RowGradient<T> row_gradient(const WeightNormBackward<T>& weight, int64_t row,
                                       double dot) {
  const double inverse = weight.inv_norm[row];
  return {static_cast<T>(static_cast<double>(weight.g[row]) * inverse), static_cast<T>(inverse),
          static_cast<T>(dot * inverse)};
}
template <class T>
__device__ void store_gain_gradient(const WeightNormBackward<T>& weight, int64_t row,
                                    const RowGradient<T>& gradient) {
  if (weight.dg != nullptr) {
    weight.dg[row] = weight.add_g ? weight.dg[row] + gradient.projection : gradient.projection;
  }
}

}  // namespace warptape::weight_norm_detail
