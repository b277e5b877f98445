#include "core/parallel.h"
#include "kernels/layer_norm/layer_norm_kernels.h"
#include "kernels/normalize/normalize.h"

namespace warptape {
namespace {

using normalize::Centre;
using normalize::Statistics;
using normalize::Sums;

normalize::Sets sets_of(const rows::Extents& extents) {
  if (extents.inner == 1) {
    return {extents.outer, 1, 1, extents.length};
  }
  return {extents.outer, extents.length, extents.inner, 1};
}

// Calls body(row, offset of its first element) on several threads.
template <class Body>
void parallel_rows(const rows::Extents& extents, const Body& body) {
  parallel_for(extents.count(), default_grain / extents.length + 1,
               [&](int64_t begin, int64_t end) {
                 for (int64_t row = begin; row < end; ++row) {
                   const int64_t o = row / extents.inner;
                   body(row, o * extents.length * extents.inner + row % extents.inner);
                 }
               });
}

// body(index in the row, offset from its first element). A step of 1 is known to the compiler.
template <class Body>
void each_place(const rows::Extents& extents, const Body& body) {
  if (extents.inner == 1) {
    for (int64_t i = 0; i < extents.length; ++i) {
      body(i, i);
    }
  } else {
    for (int64_t i = 0; i < extents.length; ++i) {
      body(i, i * extents.inner);
    }
  }
}

}  // namespace

void layer_norm_forward_cpu(const Tensor& x, const LayerNormRows& rows, Tensor& y,
                            Tensor& statistics) {
  normalize::keep_statistics("layer_norm", x, sets_of(rows.extents), rows.eps, 0, {}, statistics);
  const auto* of_rows = normalize::SourceTensors::pairs<Statistics>(statistics);
  dispatch_floating(x.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T* from = x.data<T>();
    const C* weight = normalize::data_or_null<C>(rows.weight);
    const C* bias = normalize::data_or_null<C>(rows.bias);
    T* to = y.mutable_data<T>();
    parallel_rows(rows.extents, [&](int64_t row, int64_t start) {
      const Centre<C> centre(of_rows[row].mean);
      const auto inv_std = static_cast<C>(of_rows[row].inv_std);
      each_place(rows.extents, [&](int64_t i, int64_t at) {
        const C normalised = centre.of(from[start + at]) * inv_std;
        to[start + at] = static_cast<T>(normalised * normalize::weight_at(weight, i) +
                                        normalize::bias_at(bias, i));
      });
    });
  });
}

void layer_norm_backward_cpu(const Tensor& dy, const Tensor& x, const Tensor& statistics,
                             const LayerNormRows& rows, const GradientTarget& dx) {
  const auto* of_rows = normalize::SourceTensors::pairs<Statistics>(statistics);
  Tensor buffer = dx.buffer;
  const bool add = dx.mode == WriteMode::Accumulate;
  dispatch_floating(x.dtype(), [&]<class T>() {
    using C = Compute<T>;
    const T* gradient = dy.data<T>();
    const T* from = x.data<T>();
    const C* weight = normalize::data_or_null<C>(rows.weight);
    T* to = buffer.mutable_data<T>();
    parallel_rows(rows.extents, [&](int64_t row, int64_t start) {
      const Centre<C> centre(of_rows[row].mean);
      const auto inv_std = static_cast<C>(of_rows[row].inv_std);
      const auto weighted = [&](int64_t i, int64_t at) {
        return C{gradient[start + at]} * normalize::weight_at(weight, i);
      };
      const auto normalised = [&](int64_t at) { return centre.of(from[start + at]) * inv_std; };
      constexpr size_t lanes = 8;
      std::array<Sums, lanes> sums{};
      each_place(rows.extents, [&](int64_t i, int64_t at) {
        Sums& own = sums[static_cast<size_t>(i) % lanes];
        const auto term = static_cast<double>(weighted(i, at));
        own.first += term;
        own.second += term * static_cast<double>(normalised(at));
      });
      Sums total{};
      for (const Sums& lane : sums) {
        total = total + lane;
      }
      const auto count = static_cast<double>(rows.extents.length);
      const auto mean_dy = static_cast<C>(total.first / count);
      const auto mean_product = static_cast<C>(total.second / count);
      each_place(rows.extents, [&](int64_t i, int64_t at) {
        const C value = normalize::normalized_gradient(weighted(i, at), normalised(at), inv_std,
                                                       mean_dy, mean_product);
        to[start + at] = written(add, to[start + at], value);
      });
    });
  });
}

}  // namespace warptape
