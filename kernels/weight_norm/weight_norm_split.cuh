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

// The sum of a row's chunks, for every thread of the block.
__device__ inline double sum_of_chunks(const double* sums, unsigned chunks, double* warp_sums) {
  double own = 0;
  for (unsigned i = threadIdx.x; i < chunks; i += blockDim.x) {
    own += sums[i];
  }
  return team_sum(own, static_cast<int>(blockDim.x), warp_sums);
}

// scratch[row * chunks + chunk] = the chunk's part of a . b
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_chunk_dots(const T* a, const T* b, int64_t length, unsigned chunks,
                           double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const double dot = dot_of<T>(a, b, chunk_place<T>(length, chunks));
  const double sum = team_sum(dot, static_cast<int>(blockDim.x), warp_sums);
  if (threadIdx.x == 0) {
    scratch[blockIdx.x] = sum;
  }
}

// scratch[row * chunks + chunk] = the chunk's part of v . v, reading v once
template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_chunk_squares(const T* v, int64_t length, unsigned chunks, double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  RowPart<T> part;
  part.load(v, chunk_place<T>(length, chunks));
  const double sum = team_sum(part.dot(part), static_cast<int>(blockDim.x), warp_sums);
  if (threadIdx.x == 0) {
    scratch[blockIdx.x] = sum;
  }
}

template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_forward_chunks(WeightNormForward<T> weight, unsigned chunks,
                               const double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const int64_t row = blockIdx.x / chunks;
  const RowScale scale =
      row_scale(weight, row, sum_of_chunks(scratch + row * chunks, chunks, warp_sums));
  if (blockIdx.x % chunks == 0 && threadIdx.x == 0) {
    store_norm(weight, row, scale);
  }
  if (weight.w != nullptr) {
    const RowPlace place = chunk_place<T>(weight.length, chunks);
    RowPart<T> v;
    v.load(weight.v, place);
    scale_part(v, place, static_cast<T>(scale.scale), weight.w);
  }
}

template <class T>
__global__ void __launch_bounds__(max_threads)
    weight_norm_backward_chunks(WeightNormBackward<T> weight, unsigned chunks,
                                const double* scratch) {
  WARPTAPE_SHARED(double, warp_sums, [max_threads / 32]);
  const int64_t row = blockIdx.x / chunks;
  const RowGradient<T> gradient =
      row_gradient(weight, row, sum_of_chunks(scratch + row * chunks, chunks, warp_sums));
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
