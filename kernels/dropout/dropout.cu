// A thread draws whole blocks of random words, four logical elements each: the mask costs a quarter
// of what it would word by word, and is the CPU's.

#include "kernels/dropout/dropout_cuda.h"

#include "core/device/launch.h"
#include "core/element_types.h"
#include "core/simt/packs.cuh"

namespace warptape::on_cuda {
namespace {

constexpr int block_threads = 256;
constexpr int words = 4;  // of a block of random numbers

template <class T>
struct Mask {
  RandomStream random;
  uint64_t threshold;
  Compute<T> scale;
  bool add;

  __device__ T operator()(uint32_t word, Compute<T> x, Compute<T> old) const {
    const Compute<T> value = word >= threshold ? x * scale : 0;
    return static_cast<T>(add ? old + value : value);
  }
  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    random.for_each_pointer(visit);
  }
};

// Elements that a thread owns where memory is in logical order: whole blocks of random words, and
// whole packs.
template <int E>
inline constexpr int own_elements = E > words ? E : words;

// Memory in logical order.
template <int E, class T>
__global__ void __launch_bounds__(block_threads)
    dropout_kernel(const Mask<T> mask, int64_t n, const T* x, T* to) {
  constexpr int own = own_elements<E>;
  const int64_t first = (int64_t{blockIdx.x} * block_threads + threadIdx.x) * own;
  if (first >= n) {
    return;
  }
  const RandomStream random = mask.random.resolved();
  PhiloxBlock word[own / words];
#pragma unroll
  for (int b = 0; b < own / words; ++b) {
    word[b] = random.block(static_cast<uint64_t>(first / words + b));
  }
  if (first + own <= n) {
#pragma unroll
    for (int i = 0; i < own; i += E) {
      const simt::Pack<T, E> value = simt::load_pack<E>(x + first + i);
      simt::Pack<T, E> result = {};
      if (mask.add) {
        result = simt::load_pack<E>(to + first + i);
      }
#pragma unroll
      for (int j = 0; j < E; ++j) {
        result[j] =
            mask(word[(i + j) / words][static_cast<size_t>((i + j) % words)], value[j], result[j]);
      }
      simt::store_pack<E>(to + first + i, result);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < own; ++i) {
    if (first + i < n) {
      to[first + i] = mask(word[i / words][static_cast<size_t>(i % words)], x[first + i],
                           mask.add ? to[first + i] : T(0));
    }
  }
}

// Channels last, inner divisible by four: a thread owns four neighbours along the inner dimension,
// which share a block, in E channels.
template <int E, class T>
__global__ void __launch_bounds__(block_threads)
    dropout_channels_last_kernel(const Mask<T> mask, int64_t threads, int64_t inner,
                                 int64_t channels, const T* x, T* to) {
  const int64_t thread = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  if (thread >= threads) {
    return;
  }
  const int64_t packs = channels / E;
  const int64_t channel = thread % packs * E;
  const int64_t row = thread / packs;  // of four neighbours
  const int64_t image = row / (inner / words);
  const int64_t place = row % (inner / words);  // in the image
  const RandomStream random = mask.random.resolved();
  PhiloxBlock word[E];
#pragma unroll
  for (int j = 0; j < E; ++j) {
    word[j] = random.block(
        static_cast<uint64_t>((image * channels + channel + j) * (inner / words) + place));
  }
#pragma unroll
  for (int i = 0; i < words; ++i) {
    const int64_t at = (row * words + i) * channels + channel;
    const simt::Pack<T, E> value = simt::load_pack<E>(x + at);
    simt::Pack<T, E> result = {};
    if (mask.add) {
      result = simt::load_pack<E>(to + at);
    }
#pragma unroll
    for (int j = 0; j < E; ++j) {
      result[j] = mask(word[j][static_cast<size_t>(i)], value[j], result[j]);
    }
    simt::store_pack<E>(to + at, result);
  }
}

// Channels last, any size: a thread per element, in memory order.
template <class T>
__global__ void __launch_bounds__(block_threads)
    dropout_element_kernel(const Mask<T> mask, int64_t n, int64_t inner, int64_t channels,
                           const T* x, T* to) {
  const int64_t at = int64_t{blockIdx.x} * block_threads + threadIdx.x;
  if (at >= n) {
    return;
  }
  const int64_t channel = at % channels;
  const int64_t image = at / channels / inner;
  const int64_t place = at / channels % inner;
  const int64_t index = (image * channels + channel) * inner + place;
  to[at] = mask(mask.random.resolved().word(static_cast<uint64_t>(index)), x[at],
                mask.add ? to[at] : T(0));
}

LaunchConfig config_of(int64_t threads, gpu::StreamHandle stream) {
  return {.grid = dim3(static_cast<unsigned>((threads + block_threads - 1) / block_threads)),
          .block = dim3(block_threads),
          .stream = stream,
          .name = "dropout"};
}

}  // namespace

template <class T>
void dropout(gpu::StreamHandle stream, const DropoutExtents& extents, const T* x,
             uint64_t threshold, Compute<T> scale, const RandomStream& random, T* to, bool add) {
  constexpr int E = simt::pack_size<T>;
  const auto& [images, inner, channels] = extents;
  const Mask<T> mask{random, threshold, scale, add};
  const bool aligned = simt::is_aligned16(x) && simt::is_aligned16(to);
  const int64_t n = images * inner * channels;
  if (channels == 1) {
    const int own = aligned ? own_elements<E> : own_elements<1>;
    launch(aligned ? dropout_kernel<E, T> : dropout_kernel<1, T>,
           config_of((n + own - 1) / own, stream), mask, n, x, to);
  } else if (inner % words == 0) {
    const bool packed = aligned && channels % E == 0;
    const int64_t threads = n / words / (packed ? E : 1);
    launch(packed ? dropout_channels_last_kernel<E, T> : dropout_channels_last_kernel<1, T>,
           config_of(threads, stream), mask, threads, inner, channels, x, to);
  } else {
    launch(dropout_element_kernel<T>, config_of(n, stream), mask, n, inner, channels, x, to);
  }
}

#define WARPTAPE_INSTANTIATE(dtype, T, name)                                                      \
  template void dropout(gpu::StreamHandle, const DropoutExtents&, const T*, uint64_t, Compute<T>, \
                        const RandomStream&, T*, bool);
WARPTAPE_FLOATING_DTYPES(WARPTAPE_INSTANTIATE)
#undef WARPTAPE_INSTANTIATE

}  // namespace warptape::on_cuda
