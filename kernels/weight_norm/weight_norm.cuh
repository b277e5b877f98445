#pragma once
// Fused weight norm: one pass over v forward, one over v and dw backward. What owns a row is in
// weight_norm_geometry.h.

#include "kernels/rows/row_part.cuh"
#include "kernels/weight_norm/weight_norm_columns.cuh"
#include "kernels/weight_norm/weight_norm_row.cuh"
#include "kernels/weight_norm/weight_norm_staged.cuh"

namespace warptape::weight_norm_detail {

using rows::place_of_row;
using rows::RowPart;
using rows::RowPlace;
using rows::team_sum;

// ---- rows that stay in registers --------------------------------------------------------------

// Calls visit(element of a, element of b) for all that a thread holds; zeros beyond the row.
template <class T, class Visit>
__device__ void visit_pairs(const RowPart<T>& a, const RowPart<T>& b, const Visit& visit) {
  using Part = RowPart<T>;
  visit(a.edge, b.edge);
#pragma unroll
  for (int i = 0; i < Part::packs; ++i) {
#pragma unroll
    for (int j = 0; j < Part::width; ++j) {
      visit(a.body[i][j], b.body[i][j]);
    }
  }
}

template <class T>
__device__ double squares_of(const RowPart<T>& part, double factor) {
  double sum = 0;
  visit_pairs(part, part, [&](T x, T) {
    const double value = static_cast<double>(x) * factor;
    sum += value * value;
  });
  return sum;
}

template <class T>
__device__ double products_of(const RowPart<T>& dw, const RowPart<T>& v, double factor) {
  double sum = 0;
  visit_pairs(dw, v, [&](T a, T b) { sum += product(a, b, factor); });
  return sum;
}

template <class T, class W>
__device__ void scale_part(const RowPart<T>& v, const RowPlace& place, const Scaling<T>& scaling,
                           W* tensor) {
  using Part = RowPart<T>;
  W* w = tensor + place.start;
  Part::visit(
      place,
      [&](int i, int at) {
        typename Part::Pack value;
#pragma unroll
        for (int j = 0; j < Part::width; ++j) {
          value[j] = scaling(v.body[i][j]);
        }
        store_rounded<T>(w + at, value);
      },
      [&](int at) { w[at] = static_cast<W>(scaling(v.edge)); });
}

template <class T>
__device__ void gradient_part(const RowPart<T>& dw, const RowPart<T>& v, const RowPlace& place,
                              const RowGradient<T>& gradient, T* tensor, bool add) {
  using Part = RowPart<T>;
  T* dv = tensor + place.start;
  Part::visit(
      place,
      [&](int i, int at) {
        typename Part::Pack value = add ? simt::load16(dv + at) : typename Part::Pack{};
#pragma unroll
        for (int j = 0; j < Part::width; ++j) {
          value[j] = written(add, value[j], gradient(dw.body[i][j], v.body[i][j]));
        }
        simt::store16(dv + at, value);
      },
      [&](int at) { dv[at] = written(add, dv[at], gradient(dw.edge, v.edge)); });
}

// The row that a thread's team owns, or row = -1 behind the last one.
template <class T>
__device__ RowPlace team_place(unsigned block, int lanes, int64_t rows, int64_t length,
                               int64_t& row) {
  const auto thread = static_cast<int>(threadIdx.x);
  row = int64_t{block} * (static_cast<int>(blockDim.x) / lanes) + thread / lanes;
  row = row < rows ? row : -1;
  return place_of_row<T>(row < 0 ? 0 : row * length, row < 0 ? 0 : static_cast<int>(length),
                         thread % lanes, lanes);
}

template <class T, class W>
__device__ void forward_team(const WeightNormForward<T, W>& weight, int lanes, unsigned block,
                             double* warp_sums) {
  int64_t row;
  const RowPlace place = team_place<T>(block, lanes, weight.rows, weight.length, row);
  RowPart<T> v;
  v.load(weight.v, place);
  const double norm = norm_of<T>([&](double factor, int slot) {
    return team_sum(squares_of(v, factor), lanes, warp_sums + slot * (max_threads / 32));
  });
  if (row < 0) {
    return;
  }
  const RowScale<T> scale = row_scale(weight, row, norm);
  if (place.lane == 0) {
    store_norm(weight, row, scale);
  }
  if (weight.w != nullptr) {
    scale_part(v, place, scale.scaling, weight.w);
  }
}

template <class T>
__device__ void backward_team(const WeightNormBackward<T>& weight, int lanes, unsigned block,
                              double* warp_sums) {
  int64_t row;
  const RowPlace place = team_place<T>(block, lanes, weight.rows, weight.length, row);
  RowPart<T> dw;
  RowPart<T> v;
  dw.load(weight.dw, place);
  v.load(weight.v, place);
  const double factor = factor_of_products(weight, row < 0 ? 0 : row);
  const double dot = team_sum(products_of(dw, v, factor), lanes, warp_sums);
  if (row < 0) {
    return;
  }
  const RowGradient<T> gradient = row_gradient(weight, row, dot);
  if (place.lane == 0) {
    store_gain_gradient(weight, row, gradient);
  }
  if (weight.dv != nullptr) {
    gradient_part(dw, v, place, gradient, weight.dv, weight.add_v);
  }
}

// ---- kernels ----------------------------------------------------------------------------------

// One launch for all weights of a model whose slices fit into registers or shared memory; a block
// works on one of them. blockDim.x is a multiple of the threads that own a row of any of them. All
// rows start at multiples of 16 bytes (weight_norm_unaligned.cuh serves the others).
template <class T, class W>
__global__ void __launch_bounds__(max_threads)
    weight_norm_forward(const Table<WeightNormForward<T, W>> __grid_constant__ table) {
  WARPTAPE_SHARED(double, warp_sums, [sums_of_norm<T> * max_threads / 32]);
  const int index = table.entry_of(blockIdx.x);
  const auto& entry = table.entries[index];
  const unsigned block = blockIdx.x - table.first_block[index];
  if (entry.geometry.layout == Layout::Staged) {
    forward_staged(entry.weight, entry.geometry, block);
  } else if (entry.geometry.layout == Layout::Columns) {
    forward_columns(entry.weight, entry.geometry, block);
  } else {
    forward_team(entry.weight, entry.geometry.lanes, block, warp_sums);
  }
}

template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_backward(const Table<WeightNormBackward<T>> __grid_constant__ table) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const int index = table.entry_of(blockIdx.x);
  const auto& entry = table.entries[index];
  const unsigned block = blockIdx.x - table.first_block[index];
  if (entry.geometry.layout == Layout::Staged) {
    backward_staged<T>(entry.weight, entry.geometry, block);
  } else if (entry.geometry.layout == Layout::Columns) {
    backward_columns<T>(entry.weight, entry.geometry, block);
  } else {
    backward_team<T>(entry.weight, entry.geometry.lanes, block, warp_sums);
  }
}

}  // namespace warptape::weight_norm_detail
