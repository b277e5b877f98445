#include "kernels/layer_norm/layer_norm_cuda.h"
#include "kernels/normalize/sums.cuh"
#include "kernels/rows/rows.cuh"

namespace warptape::on_cuda {
namespace {

using normalize::Centre;
using normalize::Statistics;
using normalize::Sums;

// Sums are around the row's first element (Moments in arithmetic.h).
template <class T>
struct LayerNormForward : rows::NothingPerBlock {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 1;
  struct Row {
    Sums state;
    C shift;
    int64_t row;
    Centre<C> centre;
    C inv_std;
  };

  double inv_length;
  const T* x;
  const C* weight;
  const C* bias;
  double eps;
  Statistics* statistics;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(x);
    visit(weight);
    visit(bias);
    visit(statistics);
  }
  static __device__ Sums identity() { return {}; }
  static __device__ Sums combine(const Sums& a, const Sums& b) { return a + b; }
  __device__ void begin(int64_t row, int64_t first, bool, Row& own) const {
    own.row = row;
    own.shift = x[first];
  }
  template <class Items>
  __device__ void add(Row& own, const Block&, const Items& items) const {
    items([&](int64_t, const C(&values)[1]) {
      normalize::add_moment(own.state, values[0], static_cast<double>(own.shift));
    });
  }
  __device__ void complete(Row& own, const Block&, bool leads) const {
    const Statistics of_row =
        normalize::Moments(static_cast<double>(own.shift), own.state, inv_length)
            .statistics(inv_length, eps);
    own.centre = Centre<C>(of_row.mean);
    own.inv_std = static_cast<C>(of_row.inv_std);
    if (leads) {
      statistics[own.row] = of_row;
    }
  }
  __device__ C value(const Row& own, const Block&, int64_t index, const C (&values)[1]) const {
    return own.centre.of(values[0]) * own.inv_std * normalize::weight_at(weight, index) +
           normalize::bias_at(bias, index);
  }
};

// Inputs dy and x.
template <class T>
struct LayerNormGradient : rows::NothingPerBlock {
  using Element = T;
  using C = Compute<T>;
  static constexpr int inputs = 2;
  struct Row {
    Sums state;
    Centre<C> centre;
    C inv_std;
    C mean_dy;
    C mean_product;
  };

  double inv_length;
  const Statistics* statistics;
  const C* weight;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(statistics);
    visit(weight);
  }
  static __device__ Sums identity() { return {}; }
  static __device__ Sums combine(const Sums& a, const Sums& b) { return a + b; }
  __device__ void begin(int64_t row, int64_t, bool, Row& own) const {
    const Statistics of_row = statistics[row];
    own.centre = Centre<C>(of_row.mean);
    own.inv_std = static_cast<C>(of_row.inv_std);
  }
  template <class Items>
  __device__ void add(Row& own, const Block&, const Items& items) const {
    items([&](int64_t index, const C(&values)[2]) {
      const auto weighted = static_cast<double>(values[0] * normalize::weight_at(weight, index));
      own.state.first += weighted;
      own.state.second += weighted * static_cast<double>(own.centre.of(values[1]) * own.inv_std);
    });
  }
  __device__ void complete(Row& own, const Block&, bool) const {
    own.mean_dy = static_cast<C>(own.state.first * inv_length);
    own.mean_product = static_cast<C>(own.state.second * inv_length);
  }
  __device__ C value(const Row& own, const Block&, int64_t index, const C (&values)[2]) const {
    return normalize::normalized_gradient(values[0] * normalize::weight_at(weight, index),
                                          own.centre.of(values[1]) * own.inv_std, own.inv_std,
                                          own.mean_dy, own.mean_product);
  }
};

}  // namespace

template <class T>
void layer_norm_forward(gpu::StreamHandle stream, const rows::Plan& plan, const T* x,
                        const Compute<T>* weight, const Compute<T>* bias, double eps, T* y,
                        Statistics* statistics, void* states) {
  LayerNormForward<T> op;
  op.inv_length = 1 / static_cast<double>(plan.extents.length);
  op.x = x;
  op.weight = weight;
  op.bias = bias;
  op.eps = eps;
  op.statistics = statistics;
  rows::run("layer_norm", stream, plan, op, rows::Inputs<T, 1>{{x}}, y, false,
            static_cast<Sums*>(states));
}

template <class T>
void layer_norm_backward(gpu::StreamHandle stream, const rows::Plan& plan, const T* dy, const T* x,
                         const Statistics* statistics, const Compute<T>* weight, bool add, T* dx,
                         void* states) {
  LayerNormGradient<T> op;
  op.inv_length = 1 / static_cast<double>(plan.extents.length);
  op.statistics = statistics;
  op.weight = weight;
  rows::run("layer_norm_backward", stream, plan, op, rows::Inputs<T, 2>{{dy, x}}, dx, add,
            static_cast<Sums*>(states));
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                      \
  template void layer_norm_forward(gpu::StreamHandle, const rows::Plan&, const T*,                \
                                   const Compute<T>*, const Compute<T>*, double, T*, Statistics*, \
                                   void*);                                                        \
  template void layer_norm_backward(gpu::StreamHandle, const rows::Plan&, const T*, const T*,     \
                                    const Statistics*, const Compute<T>*, bool, T*, void*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
