#include <cmath>

#include "core/parallel.h"
#include "kernels/reduce/robust_norm.h"
#include "kernels/weight_norm/weight_norm_kernels.h"

namespace warptape {
namespace {

template <class T>
double sum_of_squares(const T* row, int64_t length, double factor) {
  // Four sums, so that one addition need not wait for the last.
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= length; i += 4) {
    for (int lane = 0; lane < 4; ++lane) {
      const double value = row[i + lane] * factor;
      sums[lane] += value * value;
    }
  }
  for (; i < length; ++i) {
    const double value = row[i] * factor;
    sums[0] += value * value;
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <class T>
double norm_of(const T* row, int64_t length) {
  const double sum = sum_of_squares(row, length, 1);
  if (is_safe_sum_of_squares(sum)) {
    return std::sqrt(sum);
  }
  return robust_root(sum, sum_of_squares(row, length, enlarging),
                     sum_of_squares(row, length, reducing));
}

// Calls body(row, offset of its first element, length) on several threads.
template <class Body>
void for_each_row(const Tensor& v, const Body& body) {
  const int64_t rows = v.size(0);
  const int64_t length = rows == 0 ? 0 : v.numel() / rows;
  parallel_for(rows, default_grain / (length + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      body(row, row * length, length);
    }
  });
}

template <class T, class W>
void forward(const Tensor& v, const Tensor& g, Tensor& w, Tensor& inv_norm) {
  const T* pv = v.data<T>();
  const T* pg = g.data<T>();
  W* to = w.mutable_data<W>();
  double* inverse = inv_norm.mutable_data<double>();
  for_each_row(v, [&](int64_t row, int64_t start, int64_t length) {
    const double norm = norm_of(pv + start, length);
    inverse[row] = finite_inverse(norm);
    // v is brought near 1 by a power of two: no intermediate overflows where the result does not.
    const double unit = unit_for<double>(norm);
    const double scale = norm == 0 ? 0.0 : pg[row] / (norm * unit);
    for (int64_t i = start; i < start + length; ++i) {
      to[i] = static_cast<W>(static_cast<T>(scale * (pv[i] * unit)));
    }
  });
}

void backward(WeightNormGradient& weight) {
  const Tensor& dw = weight.dw;
  const Tensor& v = weight.v;
  GradientTarget& dv = weight.dv;
  GradientTarget& dg = weight.dg;
  dispatch_floating(v.dtype(), [&]<class T>() {
    const T* pdw = dw.data<T>();
    const T* pv = v.data<T>();
    const T* pg = weight.g.data<T>();
    const double* inverse = weight.inv_norm.data<double>();
    T* to_v = dv.buffer.defined() ? dv.buffer.mutable_data<T>() : nullptr;
    T* to_g = dg.buffer.defined() ? dg.buffer.mutable_data<T>() : nullptr;
    const bool add_v = dv.mode == WriteMode::Accumulate;
    const bool add_g = dg.mode == WriteMode::Accumulate;
    for_each_row(v, [&](int64_t row, int64_t start, int64_t length) {
      const double r = inverse[row];
      double projection = 0;
      for (int64_t i = start; i < start + length; ++i) {
        projection += pdw[i] * (pv[i] * r);
      }
      if (to_g != nullptr) {
        to_g[row] = static_cast<T>(add_g ? to_g[row] + projection : projection);
      }
      if (to_v == nullptr) {
        return;
      }
      const double scale = pg[row] * r;
      for (int64_t i = start; i < start + length; ++i) {
        const double gradient = scale * (pdw[i] - (pv[i] * r) * projection);
        to_v[i] = static_cast<T>(add_v ? to_v[i] + gradient : gradient);
      }
    });
  });
}

}  // namespace

void weight_norm_forward_cpu(std::span<WeightNormRows> weights) {
  for (WeightNormRows& weight : weights) {
    if (weight.w.dtype() != weight.v.dtype()) {
      forward<float, simt::bfloat16>(weight.v, weight.g, weight.w, weight.inv_norm);
      continue;
    }
    dispatch_floating(weight.v.dtype(), [&]<class T>() {
      forward<T, T>(weight.v, weight.g, weight.w, weight.inv_norm);
    });
  }
}

void weight_norm_backward_cpu(std::span<WeightNormGradient> weights) {
  for (WeightNormGradient& weight : weights) {
    backward(weight);
  }
}

void norm_per_channel_cpu(const Tensor& v, Tensor& norm) {
  dispatch_floating(v.dtype(), [&]<class T>() {
    const T* pv = v.data<T>();
    T* to = norm.mutable_data<T>();
    for_each_row(v, [&](int64_t row, int64_t start, int64_t length) {
      to[row] = static_cast<T>(norm_of(pv + start, length));
    });
  });
}

}  // namespace warptape
