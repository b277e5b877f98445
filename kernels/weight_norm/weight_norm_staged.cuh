#pragma once
// Weight norm of short rows, through shared memory.

#include "core/simt/reduce.cuh"
#include "kernels/rows/staged_rows.cuh"
#include "kernels/weight_norm/weight_norm_row.cuh"

namespace warptape::weight_norm_detail {

using rows::for_bank_free_width;
using rows::stage_in;
using rows::stage_out;

__device__ inline int rows_of_block(int64_t left, const Geometry& geometry) {
  return left < geometry.rows_per_block ? static_cast<int>(left) : geometry.rows_per_block;
}

__device__ inline int row_of(int element, int length) {
  return static_cast<int>(static_cast<unsigned>(element) / static_cast<unsigned>(length));
}

// Calls store(row, sum over the row of element(index)) with element = element_of(row); a warp owns
// a row.
template <class ElementOf, class Store>
__device__ void sum_rows_by_warps(int rows, int length, const ElementOf& element_of,
                                  const Store& store) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  for (int r = static_cast<int>(threadIdx.x) / 32; r < rows; r += warps) {
    const auto element = element_of(r);
    double sum = 0;
    for (int i = r * length + lane; i < (r + 1) * length; i += 32) {
      sum += element(i);
    }
    sum = simt::warp_sum(sum);
    if (lane == 0) {
      store(r, sum);
    }
  }
}

// Sums by warps; then what is one value per row, by neighbouring threads; then the elements.
template <class T, class W>
__device__ void scale_rows_by_warps(const WeightNormForward<T, W>& weight, int64_t first, int rows,
                                    T* v, double* sums, Scaling<T>* scalings) {
  const auto length = static_cast<int>(weight.length);
  visit_sums_of_norm<T>([&](double factor, int slot) {
    sum_rows_by_warps(
        rows, length,
        [&](int) {
          return [=](int i) {
            const double value = static_cast<double>(v[i]) * factor;
            return value * value;
          };
        },
        [&](int r, double sum) { sums[slot * most_rows_by_warps + r] = sum; });
  });
  __syncthreads();
  const int own_row = static_cast<int>(threadIdx.x);
  if (own_row < rows) {
    const double norm =
        norm_of<T>([&](double, int slot) { return sums[slot * most_rows_by_warps + own_row]; });
    const RowScale<T> scale = row_scale(weight, first + own_row, norm);
    store_norm(weight, first + own_row, scale);
    scalings[own_row] = scale.scaling;
  }
  __syncthreads();
  for (int i = own_row; i < rows * length; i += static_cast<int>(blockDim.x)) {
    v[i] = scalings[row_of(i, length)](v[i]);
  }
}

// A thread owns a row.
template <class T, class W>
__device__ void scale_rows_by_threads(const WeightNormForward<T, W>& weight, int64_t first,
                                      int rows, T* v) {
  const auto length = static_cast<int>(weight.length);
  for_bank_free_width<T>(length, [&]<int Width>() {
    using Pack = simt::Pack<T, Width>;
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += static_cast<int>(blockDim.x)) {
      auto* own = reinterpret_cast<Pack*>(v + r * length);
      const double norm = norm_of<T>([&](double factor, int) {
        double sum = 0;
        for (int i = 0; i < length / Width; ++i) {
          const Pack value = own[i];
#pragma unroll
          for (int j = 0; j < Width; ++j) {
            const double element = static_cast<double>(value[j]) * factor;
            sum += element * element;
          }
        }
        return sum;
      });
      const RowScale<T> scale = row_scale(weight, first + r, norm);
      store_norm(weight, first + r, scale);
      for (int i = 0; i < length / Width; ++i) {
        Pack value = own[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          value[j] = scale.scaling(value[j]);
        }
        own[i] = value;
      }
    }
  });
}

// Both sides aligned to 16 bytes.
template <class T, class W>
__device__ void stage_out_rounded(W* global, const T* shared, int count) {
  constexpr int pack = simt::pack_size<T>;
  const int threads = static_cast<int>(blockDim.x);
  for (int i = static_cast<int>(threadIdx.x) * pack; i + pack <= count; i += threads * pack) {
    store_rounded<T>(global + i, simt::load16(shared + i));
  }
  for (int i = count / pack * pack + static_cast<int>(threadIdx.x); i < count; i += threads) {
    global[i] = static_cast<W>(shared[i]);
  }
}

template <class T, class W>
__device__ void forward_staged(const WeightNormForward<T, W>& weight, const Geometry& geometry,
                               unsigned block) {
  const int64_t first = int64_t{block} * geometry.rows_per_block;
  const auto length = static_cast<int>(weight.length);
  const int rows = rows_of_block(weight.rows - first, geometry);
  T* v = simt::dynamic_shared<T>();
  stage_in(v, weight.v + first * length, rows * length);
  __syncthreads();
  if (geometry.lanes == 1) {
    scale_rows_by_threads(weight, first, rows, v);
  } else {
    WARPTAPE_SHARED(double, sums, [sums_of_norm<T> * most_rows_by_warps]);
    WARPTAPE_SHARED(Scaling<T>, scalings, [most_rows_by_warps]);
    scale_rows_by_warps(weight, first, rows, v, sums, scalings);
  }
  if (weight.w != nullptr) {
    __syncthreads();
    stage_out_rounded(weight.w + first * length, v, rows * length);
  }
}

// Puts dv in dw's place in shared memory. A warp owns several rows, one after the other.
template <class T>
__device__ void gradient_of_rows_by_warps(const WeightNormBackward<T>& weight, int64_t first,
                                          int rows, const T* v, T* dw, double* dots,
                                          RowGradient<T>* gradients) {
  const auto length = static_cast<int>(weight.length);
  sum_rows_by_warps(
      rows, length,
      [&](int r) {
        const double factor = factor_of_products(weight, first + r);
        return [=](int i) { return product(dw[i], v[i], factor); };
      },
      [&](int r, double sum) { dots[r] = sum; });
  __syncthreads();
  const int own_row = static_cast<int>(threadIdx.x);
  if (own_row < rows) {
    gradients[own_row] = row_gradient(weight, first + own_row, dots[own_row]);
    store_gain_gradient(weight, first + own_row, gradients[own_row]);
  }
  __syncthreads();
  for (int i = own_row; i < rows * length; i += static_cast<int>(blockDim.x)) {
    dw[i] = static_cast<T>(gradients[row_of(i, length)](dw[i], v[i]));
  }
}
template <class T>
__device__ void gradient_of_rows_by_threads(const WeightNormBackward<T>& weight, int64_t first,
                                            int rows, const T* v, T* dw) {
  const auto length = static_cast<int>(weight.length);
  for_bank_free_width<T>(length, [&]<int Width>() {
    using Pack = simt::Pack<T, Width>;
    for (int r = static_cast<int>(threadIdx.x); r < rows; r += static_cast<int>(blockDim.x)) {
      const auto* own_v = reinterpret_cast<const Pack*>(v + r * length);
      auto* own_dw = reinterpret_cast<Pack*>(dw + r * length);
      const double factor = factor_of_products(weight, first + r);
      double dot = 0;
      for (int i = 0; i < length / Width; ++i) {
        const Pack a = own_dw[i];
        const Pack b = own_v[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          dot += product(a[j], b[j], factor);
        }
      }
      const RowGradient<T> gradient = row_gradient(weight, first + r, dot);
      store_gain_gradient(weight, first + r, gradient);
      for (int i = 0; i < length / Width; ++i) {
        Pack a = own_dw[i];
        const Pack b = own_v[i];
#pragma unroll
        for (int j = 0; j < Width; ++j) {
          a[j] = static_cast<T>(gradient(a[j], b[j]));
        }
        own_dw[i] = a;
      }
    }
  });
}

template <class T>
__device__ void backward_staged(const WeightNormBackward<T>& weight, const Geometry& geometry,
                                unsigned block) {
  const int64_t first = int64_t{block} * geometry.rows_per_block;
  const auto length = static_cast<int>(weight.length);
  const int rows = rows_of_block(weight.rows - first, geometry);
  T* v = simt::dynamic_shared<T>();
  T* dw = v + geometry.rows_per_block * length;
  stage_in(v, weight.v + first * length, rows * length);
  stage_in(dw, weight.dw + first * length, rows * length);
  __syncthreads();
  if (geometry.lanes == 1) {
    gradient_of_rows_by_threads(weight, first, rows, v, dw);
  } else {
    WARPTAPE_SHARED(double, dots, [most_rows_by_warps]);
    WARPTAPE_SHARED(RowGradient<T>, gradients, [most_rows_by_warps]);
    gradient_of_rows_by_warps(weight, first, rows, v, dw, dots, gradients);
  }
  if (weight.dv != nullptr) {
    __syncthreads();
    stage_out(weight.dv + first * length, dw, rows * length, weight.add_v);
  }
}

}  // namespace warptape::weight_norm_detail
