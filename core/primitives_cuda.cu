#include "core/primitives_cuda.h"

#include "core/cast.cuh"
#include "core/element_types.h"
#include "core/elementwise.cuh"
#include "core/transpose.cuh"

namespace warptape::primitives::on_cuda {
namespace {

using elementwise::block_threads;
using elementwise::FlatRange;

constexpr int packs_per_thread = 4;

dim3 grid_of(const FlatRange& range) {
  constexpr int64_t per_block = int64_t{block_threads} * packs_per_thread;
  return dim3(
      static_cast<unsigned>(std::max<int64_t>((range.packs + per_block - 1) / per_block, 1)));
}

// The pack that a thread takes in its k-th turn; may lie behind the last one.
__device__ int64_t pack_index(int k) {
  return (int64_t{blockIdx.x} * packs_per_thread + k) * block_threads + threadIdx.x;
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    fill_kernel(const FlatRange range, T* to, T value) {
  if (blockIdx.x == 0 && threadIdx.x < range.ends) {
    to[range.end_element(threadIdx.x)] = value;
  }
  simt::Pack16<T> pack;
#pragma unroll
  for (int e = 0; e < simt::pack_size<T>; ++e) {
    pack[e] = value;
  }
#pragma unroll
  for (int k = 0; k < packs_per_thread; ++k) {
    if (pack_index(k) < range.packs) {
      simt::store16(to + range.head + pack_index(k) * simt::pack_size<T>, pack);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(block_threads)
    find_not_finite_kernel(const FlatRange range, const T* values, int* found) {
  // x - x is 0 for every finite x, else NaN.
  const auto is_bad = [](Compute<T> x) { return !(x - x == 0); };
  bool bad = false;
  if (blockIdx.x == 0 && threadIdx.x < range.ends) {
    bad = is_bad(values[range.end_element(threadIdx.x)]);
  }
  simt::Pack16<T> packs[packs_per_thread];
#pragma unroll
  for (int k = 0; k < packs_per_thread; ++k) {
    if (pack_index(k) < range.packs) {
      packs[k] = simt::load16(values + range.head + pack_index(k) * simt::pack_size<T>);
    }
  }
#pragma unroll
  for (int k = 0; k < packs_per_thread; ++k) {
    if (pack_index(k) < range.packs) {
#pragma unroll
      for (int e = 0; e < simt::pack_size<T>; ++e) {
        bad = bad || is_bad(packs[k][e]);
      }
    }
  }
  if (bad) {
    atomicExch(found, 1);
  }
}

struct Identity : elementwise::NoPointers {
  static constexpr bool moves = true;
  template <class T>
  WARPTAPE_HOST_DEVICE T operator()(T x) const {
    return x;
  }
};

template <class T>
void copy_or_add(const char* name, gpu::StreamHandle stream, const StridedLoop<2>& loop,
                 bool accumulate, T* to, const T* from) {
  if (loop.numel() == 0) {
    return;
  }
  const int tiled = transpose::tiled_dimension(loop);
  if (tiled >= 0) {
    transpose::run(name, stream, loop, tiled, accumulate, to, from);
  } else {
    elementwise::run(name, stream, loop, Identity{}, accumulate, to,
                     elementwise::Inputs<T, 1>{{from}});
  }
}

}  // namespace

template <class T>
void fill(gpu::StreamHandle stream, T* to, int64_t n, T value) {
  if (n == 0) {
    return;
  }
  const FlatRange range = elementwise::flat_range(to, n);
  launch(fill_kernel<T>,
         {.grid = grid_of(range), .block = dim3(block_threads), .stream = stream, .name = "fill"},
         range, to, value);
}

template <class T>
void copy(gpu::StreamHandle stream, const StridedLoop<2>& loop, T* to, const T* from) {
  copy_or_add("copy", stream, loop, false, to, from);
}

template <class T>
void add(gpu::StreamHandle stream, const StridedLoop<2>& loop, T* to, const T* from) {
  copy_or_add("accumulate", stream, loop, true, to, from);
}

template <class T>
void find_not_finite(gpu::StreamHandle stream, const T* values, int64_t n, int* found) {
  if (n == 0) {
    return;
  }
  const FlatRange range = elementwise::flat_range(values, n);
  launch(find_not_finite_kernel<T>,
         {.grid = grid_of(range),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "find_not_finite"},
         range, values, found);
}

#define WARPTAPE_DEFINE(dtype, From, name)                                                 \
  template <class To>                                                                      \
  void CastTo<To>::from(gpu::StreamHandle stream, To* to, const From* values, int64_t n) { \
    if constexpr (!std::is_same_v<To, From>) {                                             \
      if (n > 0) {                                                                         \
        run_cast(stream, to, values, n);                                                   \
      }                                                                                    \
    }                                                                                      \
  }
WARPTAPE_DTYPES(WARPTAPE_DEFINE)
#undef WARPTAPE_DEFINE

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                  \
  template void fill(gpu::StreamHandle, T*, int64_t, T);                      \
  template void copy(gpu::StreamHandle, const StridedLoop<2>&, T*, const T*); \
  template void add(gpu::StreamHandle, const StridedLoop<2>&, T*, const T*);  \
  template struct CastTo<T>;
WARPTAPE_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

#define WARPTAPE_INSTANTIATE(dtype, T, name) \
  template void find_not_finite(gpu::StreamHandle, const T*, int64_t, int*);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::primitives::on_cuda
