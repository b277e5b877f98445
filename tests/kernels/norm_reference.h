#pragma once
// Weight norm along any dimensions by plain loops in double.

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/random.h"
#include "core/tape.h"
#include "kernels/weight_norm/weight_norm.h"

namespace warptape {

// v, g and dw at random, of numbers that float32 holds, and what weight norm makes of them; all in
// logical order.
struct NormReference {
  Shape shape;
  NormDim dim;
  Shape norms;
  std::vector<double> v, g, dw, w, dv, dg;
  double dv_terms = 0;  // the largest of the terms whose difference is dv

  NormReference(const Shape& of_v, const NormDim& of_norms, bool with_zeros = false)
      : shape(of_v), dim(of_norms), norms(dim.norm_shape(shape, "reference", {})) {
    manual_seed(static_cast<uint64_t>(shape.numel()));
    v = rounded(randn(shape, float64));
    dw = rounded(randn(shape, float64));
    g = rounded(randn(norms, float64));
    if (with_zeros && g.size() > 1) {
      for (size_t i = 0; i < v.size(); ++i) {
        v[i] = slice_of(static_cast<int64_t>(i)) + 1 == g.size() ? 0 : v[i];
      }
    }
    compute();
  }

  void compute() {
    std::vector<double> squares(g.size());
    std::vector<double> dots(g.size());
    for (size_t i = 0; i < v.size(); ++i) {
      const size_t slice = slice_of(static_cast<int64_t>(i));
      squares[slice] += v[i] * v[i];
      dots[slice] += v[i] * dw[i];
    }
    w.resize(v.size());
    dv.resize(v.size());
    dg.resize(g.size());
    for (size_t i = 0; i < v.size(); ++i) {
      const size_t slice = slice_of(static_cast<int64_t>(i));
      const double r = squares[slice] == 0 ? 0 : 1 / std::sqrt(squares[slice]);
      w[i] = g[slice] * r * v[i];
      dv[i] = g[slice] * r * (dw[i] - v[i] * r * r * dots[slice]);
      dg[slice] = dots[slice] * r;
      dv_terms = std::max(dv_terms, std::abs(g[slice] * r * dw[i]));
    }
  }

  // The element of g that an element of v goes with.
  size_t slice_of(int64_t element) const {
    int64_t slice = 0;
    int64_t inner = shape.numel();
    for (int axis = 0; axis < norms.rank(); ++axis) {
      inner /= shape[axis];
      slice = slice * norms[axis] + (norms[axis] == 1 ? 0 : element / inner % shape[axis]);
    }
    return static_cast<size_t>(slice);
  }

  template <class T>
  Tensor on(Device device, const std::vector<double>& values, const Shape& of,
            MemoryFormat format = MemoryFormat::RowMajor) const {
    return tensor(std::vector<T>(values.begin(), values.end()), of)
        .to(normalized(format, of.rank()))
        .to(device);
  }

  // The largest difference from `times` what is wanted, over the largest value, or `magnitude`.
  static double error(const Tensor& got, const std::vector<double>& wanted, double magnitude = 0,
                      double times = 1) {
    const std::vector<double> values =
        got.to(cpu).to(MemoryFormat::RowMajor).to(float64).to_vector<double>();
    double difference = values.size() == wanted.size() ? 0 : INFINITY;
    double largest = magnitude;
    for (size_t i = 0; i < std::min(values.size(), wanted.size()); ++i) {
      const double delta = std::abs(values[i] - times * wanted[i]);
      difference = std::isnan(delta) ? INFINITY : std::max(difference, delta);
      largest = std::max(largest, std::abs(times * wanted[i]));
    }
    return difference / largest;
  }

 private:
  static std::vector<double> rounded(const Tensor& values) {
    return values.to(float32).to(float64).to_vector<double>();
  }
};

}  // namespace warptape
