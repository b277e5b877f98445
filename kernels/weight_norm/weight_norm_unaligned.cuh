#pragma once
// Weights that start anywhere (slices): element by element, each row read twice. Rare, so short
// rather than fast; any length.

#include "kernels/weight_norm/weight_norm.cuh"

namespace warptape::weight_norm_detail {

// The row of the calling thread's team. A thread without one still takes part in the team's sum.
struct UnalignedRow {
  int64_t row;
  int64_t begin;  // first element of this thread in the tensor
  int64_t end;    // of the row; nothing behind the last row
  int lanes;
};
__device__ inline UnalignedRow unaligned_row(unsigned block, int lanes, int64_t rows,
                                             int64_t length) {
  const auto thread = static_cast<int>(threadIdx.x);
  const int64_t row = int64_t{block} * (static_cast<int>(blockDim.x) / lanes) + thread / lanes;
  const int64_t begin = row * length + thread % lanes;
  return {row, begin, row < rows ? (row + 1) * length : begin, lanes};
}

// The sum over the row of element(index), for each thread of its team.
template <class Element>
__device__ double unaligned_sum(const UnalignedRow& own, const Element& element,
                                double* warp_sums) {
  double sum = 0;
  for (int64_t i = own.begin; i < own.end; i += own.lanes) {
    sum += element(i);
  }
  return team_sum(sum, own.lanes, warp_sums);
}

template <class T, class W>
__global__ void __launch_bounds__(max_threads)
    weight_norm_forward_unaligned(const Table<WeightNormForward<T, W>> __grid_constant__ table) {
  WARPTAPE_SHARED(double, warp_sums, [sums_of_norm<T> * max_threads / 32]);
  const int index = table.entry_of(blockIdx.x);
  const auto& [weight, geometry] = table.entries[index];
  const UnalignedRow own = unaligned_row(blockIdx.x - table.first_block[index], geometry.lanes,
                                         weight.rows, weight.length);
  const T* v = weight.v;
  const double norm = norm_of<T>([&](double factor, int slot) {
    return unaligned_sum(
        own,
        [&](int64_t i) {
          const double value = static_cast<double>(v[i]) * factor;
          return value * value;
        },
        warp_sums + slot * (max_threads / 32));
  });
  if (own.row >= weight.rows) {
    return;
  }
  const RowScale<T> scale = row_scale(weight, own.row, norm);
  if (threadIdx.x % own.lanes == 0) {
    store_norm(weight, own.row, scale);
  }
  for (int64_t i = own.begin; weight.w != nullptr && i < own.end; i += own.lanes) {
    weight.w[i] = static_cast<W>(scale.scaling(v[i]));
  }
}

template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_backward_unaligned(const Table<WeightNormBackward<T>> __grid_constant__ table) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const int index = table.entry_of(blockIdx.x);
  const auto& [weight, geometry] = table.entries[index];
  const UnalignedRow own = unaligned_row(blockIdx.x - table.first_block[index], geometry.lanes,
                                         weight.rows, weight.length);
  const auto& one = weight;  // lambdas take no structured bindings
  const double factor = factor_of_products(one, own.row < one.rows ? own.row : 0);
  const double dot = unaligned_sum(
      own, [&](int64_t i) { return product(one.dw[i], one.v[i], factor); }, warp_sums);
  if (own.row >= weight.rows) {
    return;
  }
  const RowGradient<T> gradient = row_gradient(weight, own.row, dot);
  if (threadIdx.x % own.lanes == 0) {
    store_gain_gradient(weight, own.row, gradient);
  }
  for (int64_t i = own.begin; weight.dv != nullptr && i < own.end; i += own.lanes) {
    weight.dv[i] = written(weight.add_v, weight.dv[i], gradient(weight.dw[i], weight.v[i]));
  }
}

}  // namespace warptape::weight_norm_detail
