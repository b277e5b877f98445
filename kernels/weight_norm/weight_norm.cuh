#pragma once
// Fused weight norm: one pass over v forward, one over v and dw backward. What owns a row is in
// weight_norm_geometry.h. Norms and dot products accumulate in double, elements are scaled in T.

#include "kernels/common/launch_table.h"
#include "kernels/common/row_part.cuh"
#include "kernels/common/staged_rows.cuh"
#include "kernels/weight_norm/weight_norm_cuda.h"
#include "kernels/weight_norm/weight_norm_geometry.h"

namespace warptape::weight_norm_detail {

using rows::dot_of;
using rows::for_bank_free_width;
using rows::place_of_row;
using rows::RowPart;
using rows::RowPlace;
using rows::stage_in;
using rows::stage_out;
using rows::team_sum;

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

// ---- rows that stay in registers --------------------------------------------------------------

template <class T>
__device__ void scale_part(const RowPart<T>& v, const RowPlace& place, T scale, T* tensor) {
  using Part = RowPart<T>;
  T* w = tensor + place.start;
  Part::visit(
      place,
      [&](int i, int at) {
        typename Part::Pack value;
#pragma unroll
        for (int j = 0; j < Part::width; ++j) {
          value[j] = scale * v.body[i][j];
        }
        simt::store16(w + at, value);
      },
      [&](int at) { w[at] = scale * v.edge; });
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
          const T term = gradient(dw.body[i][j], v.body[i][j]);
          value[j] = add ? value[j] + term : term;
        }
        simt::store16(dv + at, value);
      },
      [&](int at) {
        const T term = gradient(dw.edge, v.edge);
        dv[at] = add ? dv[at] + term : term;
      });
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

template <class T>
__device__ void forward_team(const WeightNormForward<T>& weight, int lanes, unsigned block,
                             double* warp_sums) {
  int64_t row;
  const RowPlace place = team_place<T>(block, lanes, weight.rows, weight.length, row);
  RowPart<T> v;
  v.load(weight.v, place);
  const double sum = team_sum(v.dot(v), lanes, warp_sums);
  if (row < 0) {
    return;
  }
  const RowScale scale = row_scale(weight, row, sum);
  if (place.lane == 0) {
    store_norm(weight, row, scale);
  }
  if (weight.w != nullptr) {
    scale_part(v, place, static_cast<T>(scale.scale), weight.w);
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
  const double dot = team_sum(dw.dot(v), lanes, warp_sums);
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

// ---- short rows, through shared memory --------------------------------------------------------

template <class T>
__device__ void forward_staged(const WeightNormForward<T>& weight, int rows_per_block,
                               unsigned block) {
  const int64_t first = int64_t{block} * rows_per_block;
  const auto length = static_cast<int>(weight.length);
  const int64_t left = weight.rows - first;
  const int rows = left < rows_per_block ? static_cast<int>(left) : rows_per_block;
  T* v = simt::dynamic_shared<T>();
  stage_in(v, weight.v + first * length, rows * length);
  __syncthreads();
  for_bank_free_width<T>(length, [&]<int Width>() {
    using Pack = simt::Pack<T, Width>;
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += static_cast<int>(blockDim.x)) {
      auto* own = reinterpret_cast<Pack*>(v + r * length);
      double sum = 0;
      for (int i = 0; i < length / Width; ++i) {
        const Pack value = own[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          sum += static_cast<double>(value[j]) * static_cast<double>(value[j]);
        }
      }
      const RowScale scale = row_scale(weight, first + r, sum);
      store_norm(weight, first + r, scale);
      for (int i = 0; i < length / Width; ++i) {
        Pack value = own[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          value[j] = static_cast<T>(scale.scale) * value[j];
        }
        own[i] = value;
      }
    }
  });
  if (weight.w != nullptr) {
    __syncthreads();
    stage_out(weight.w + first * length, v, rows * length, false);
  }
}

template <class T>
__device__ void backward_staged(const WeightNormBackward<T>& weight, int rows_per_block,
                                unsigned block) {
  const int64_t first = int64_t{block} * rows_per_block;
  const auto length = static_cast<int>(weight.length);
  const int64_t left = weight.rows - first;
  const int rows = left < rows_per_block ? static_cast<int>(left) : rows_per_block;
  T* v = simt::dynamic_shared<T>();
  T* dw = v + rows_per_block * length;
  stage_in(v, weight.v + first * length, rows * length);
  stage_in(dw, weight.dw + first * length, rows * length);
  __syncthreads();
  for_bank_free_width<T>(length, [&]<int Width>() {
    using Pack = simt::Pack<T, Width>;
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += static_cast<int>(blockDim.x)) {
      const auto* own_v = reinterpret_cast<const Pack*>(v + r * length);
      auto* own_dw = reinterpret_cast<Pack*>(dw + r * length);
      double dot = 0;
      for (int i = 0; i < length / Width; ++i) {
        const Pack a = own_dw[i];
        const Pack b = own_v[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          dot += static_cast<double>(a[j]) * static_cast<double>(b[j]);
        }
      }
      const RowGradient<T> gradient = row_gradient(weight, first + r, dot);
      store_gain_gradient(weight, first + r, gradient);
      for (int i = 0; i < length / Width; ++i) {
        Pack a = own_dw[i];
        const Pack b = own_v[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          a[j] = gradient(a[j], b[j]);
        }
        own_dw[i] = a;
      }
    }
  });
  if (weight.dv != nullptr) {
    __syncthreads();
    stage_out(weight.dv + first * length, dw, rows * length, weight.add_v);
  }
}

// ---- kernels ----------------------------------------------------------------------------------

// All weights of a model whose rows stay on chip. blockDim.x is a multiple of every team's size.
// Packed: all tensors start at multiples of 16 bytes.
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_forward(const Table<WeightNormForward<T>> __grid_constant__ table) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const int index = table.entry_of(blockIdx.x);
  const auto& entry = table.entries[index];
  const unsigned block = blockIdx.x - table.first_block[index];
  if (entry.geometry.layout == Layout::Staged) {
    forward_staged<T>(entry.weight, entry.geometry.rows_per_block, block);
  } else {
    forward_team<T>(entry.weight, entry.geometry.lanes, block, warp_sums);
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
    backward_staged<T>(entry.weight, entry.geometry.rows_per_block, block);
  } else {
    backward_team<T>(entry.weight, entry.geometry.lanes, block, warp_sums);
  }
}

}  // namespace warptape::weight_norm_detail
