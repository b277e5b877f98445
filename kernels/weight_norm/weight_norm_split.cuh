#pragma once
// Rows that no block can hold, in two launches: the sums of chunks, then the chunks themselves,
// which read the sums of their row in a fixed order. Block x of the grid owns chunk x % chunks of
// row x / chunks.

#include "kernels/weight_norm/weight_norm.cuh"

namespace warptape::weight_norm_detail {

template <class T>
inline constexpr int64_t split_chunk = int64_t{max_threads} * items_per_thread<T>;

template <class T>
__device__ RowPlace chunk_place(int64_t length, unsigned chunks) {
  const int64_t row = blockIdx.x / chunks;
  const int64_t begin = int64_t{blockIdx.x % chunks} * split_chunk<T>;
  const int64_t left = length - begin;
  return place_of_row<T>(row * length + begin,
                         static_cast<int>(left < split_chunk<T> ? left : split_chunk<T>),
                         static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x));
}

// The sum of element(chunk) over a row's chunks, for every thread of the block.
template <class Element>
__device__ double sum_of_chunks(unsigned chunks, const Element& element, double* warp_sums) {
  double own = 0;
  for (unsigned i = threadIdx.x; i < chunks; i += blockDim.x) {
    own += element(i);
  }
  return team_sum(own, static_cast<int>(blockDim.x), warp_sums);
}

// scratch[row * chunks + chunk] = the chunk's part of dw . v, as product() has it
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_chunk_dots(WeightNormBackward<T> weight, unsigned chunks, double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const double factor = factor_of_products(weight, blockIdx.x / chunks);
  const RowPlace place = chunk_place<T>(weight.length, chunks);
  const T* dw = weight.dw + place.start;
  const T* v = weight.v + place.start;
  double dot = 0;
  RowPart<T>::visit(
      place,
      [&](int, int at) {
        const simt::Pack16<T> a = simt::load16(dw + at);
        const simt::Pack16<T> b = simt::load16(v + at);
#pragma unroll
        for (int j = 0; j < simt::pack_size<T>; ++j) {
          dot += product(a[j], b[j], factor);
        }
      },
      [&](int at) { dot += product(dw[at], v[at], factor); });
  const double sum = team_sum(dot, static_cast<int>(blockDim.x), warp_sums);
  if (threadIdx.x == 0) {
    scratch[blockIdx.x] = sum;
  }
}

// scratch[row * chunks + chunk] = the norm of the chunk, reading v once
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_chunk_norms(const T* v, int64_t length, unsigned chunks, double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [sums_of_norm<T> * max_threads / 32]);
  RowPart<T> part;
  part.load(v, chunk_place<T>(length, chunks));
  const double norm = norm_of<T>([&](double factor, int slot) {
    return team_sum(squares_of(part, factor), static_cast<int>(blockDim.x),
                    warp_sums + slot * (max_threads / 32));
  });
  if (threadIdx.x == 0) {
    scratch[blockIdx.x] = norm;
  }
}

template <class T, class W>
__global__ void __launch_bounds__(max_threads)
    weight_norm_forward_chunks(WeightNormForward<T, W> weight, unsigned chunks,
                               const double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [sums_of_norm<T> * max_threads / 32]);
  const int64_t row = blockIdx.x / chunks;
  const double norm = norm_of<T>([&](double factor, int slot) {
    return sum_of_chunks(
        chunks,
        [&](unsigned i) {
          const double value = scratch[row * chunks + i] * factor;
          return value * value;
        },
        warp_sums + slot * (max_threads / 32));
  });
  const RowScale<T> scale = row_scale(weight, row, norm);
  if (blockIdx.x % chunks == 0 && threadIdx.x == 0) {
    store_norm(weight, row, scale);
  }
  if (weight.w != nullptr) {
    const RowPlace place = chunk_place<T>(weight.length, chunks);
    RowPart<T> v;
    v.load(weight.v, place);
    scale_part(v, place, scale.scaling, weight.w);
  }
}

template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_backward_chunks(WeightNormBackward<T> weight, unsigned chunks,
                                const double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const int64_t row = blockIdx.x / chunks;
  const double dot = sum_of_chunks(
      chunks, [&](unsigned i) { return scratch[row * chunks + i]; }, warp_sums);
  const RowGradient<T> gradient = row_gradient(weight, row, dot);
  if (blockIdx.x % chunks == 0 && threadIdx.x == 0) {
    store_gain_gradient(weight, row, gradient);
  }
  if (weight.dv != nullptr) {
    const RowPlace place = chunk_place<T>(weight.length, chunks);
    RowPart<T> dw;
    RowPart<T> v;
    dw.load(weight.dw, place);
    v.load(weight.v, place);
    gradient_part(dw, v, place, gradient, weight.dv, weight.add_v);
  }
}

}  // namespace warptape::weight_norm_detail
