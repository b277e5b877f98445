// A thread draws a block of random words and owns the four elements that it gives.

#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/random_cuda.h"
#include "core/simt/packs.cuh"

namespace warptape::random {
namespace {

constexpr int block_threads = 256;
constexpr int words = 4;

template <int E, class T, class Values>
__global__ void __launch_bounds__(block_threads)
    fill_kernel(const Values values, int64_t n, T* to) {
  const int64_t block = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  const int64_t first = block * words;
  if (first >= n) {
    return;
  }
  const PhiloxBlock word = values.stream.resolved().block(static_cast<uint64_t>(block));
  if (first + words <= n) {
#pragma unroll
    for (int i = 0; i < words; i += E) {
      simt::Pack<T, E> result = {};
#pragma unroll
      for (int j = 0; j < E; ++j) {
        result[j] = values(word, static_cast<size_t>(i + j));
      }
      simt::store_pack<E>(to + first + i, result);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < words; ++i) {
    if (first + i < n) {
      to[first + i] = values(word, static_cast<size_t>(i));
    }
  }
}

template <class T, class Values>
void run(gpu::StreamHandle stream, T* to, int64_t n, const Values& values) {
  if (n == 0) {
    return;
  }
  constexpr int E = simt::pack_size<T> <= words ? simt::pack_size<T> : 1;
  const int64_t threads = (n + words - 1) / words;
  launch(simt::is_aligned16(to) ? fill_kernel<E, T, Values> : fill_kernel<1, T, Values>,
         {.grid = dim3(static_cast<unsigned>((threads + block_threads - 1) / block_threads)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "random_fill"},
         values, n, to);
}

}  // namespace

template <class T>
void fill(gpu::StreamHandle stream, T* to, int64_t n, const NormalValues<T>& values) {
  run(stream, to, n, values);
}

template <class T>
void fill(gpu::StreamHandle stream, T* to, int64_t n, const UniformValues<T>& values) {
  run(stream, to, n, values);
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                  \
  template void fill(gpu::StreamHandle, T*, int64_t, const NormalValues<T>&); \
  template void fill(gpu::StreamHandle, T*, int64_t, const UniformValues<T>&);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::random
