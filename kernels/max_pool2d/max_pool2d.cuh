#pragma once
#include <limits>
#include <type_traits>

#include "kernels/pool/pool.cuh"

namespace warptape::pool {

// indices may be nullptr: not wanted. The index bytes of a pack are one word.
template <int E, class T, class Index>
__global__ void __launch_bounds__(block_threads, E == 8 ? 3 : 4)
    max_forward(const Windows __grid_constant__ w, bool with_relu, const T* x, T* y,
                Index* indices) {
  using Tap = std::conditional_t<sizeof(Index) == 1, int, int64_t>;
  const int out_height = w.vertical.out_size;
  const int out_width = w.horizontal.out_size;
  const Place out = own_place<E>(w, out_height, out_width);
  if (out.image >= w.images) {
    return;
  }
  constexpr Compute<T> nothing = -std::numeric_limits<Compute<T>>::infinity();
  simt::Pack<Compute<T>, E> best = simt::repeat_pack<E>(nothing);
  // A window of -infinities points into the image.
  const Tap first_tap = static_cast<Tap>(w.vertical.first_tap(out.row)) * w.horizontal.kernel +
                        w.horizontal.first_tap(out.column);
  Tap best_tap[E];
#pragma unroll
  for (int e = 0; e < E; ++e) {
    best_tap[e] = first_tap;
  }
  TapReader<E, T> reader(w, x, out, static_cast<T>(nothing));
  const Tap taps = static_cast<Tap>(w.vertical.kernel) * w.horizontal.kernel;
  for (Tap tap = 0; tap < taps; tap += reader.batch) {
    reader.load(taps - tap);
#pragma unroll
    for (int k = 0; k < reader.batch; ++k) {
#pragma unroll
      for (int e = 0; e < E; ++e) {
        const Compute<T> value = reader.values[k][e];
        // !(value <= best) also lets a NaN win; once best is one, nothing replaces it.
        const bool wins = !(value <= best[e]) && best[e] == best[e];
        best[e] = wins ? value : best[e];
        best_tap[e] = wins ? tap + k : best_tap[e];
      }
    }
  }
  simt::Pack<Index, E> found;
#pragma unroll
  for (int e = 0; e < E; ++e) {
    const bool dead = with_relu && best[e] <= 0;
    best[e] = dead ? 0 : best[e];
    found[e] = static_cast<Index>(dead ? taps : best_tap[e]);
  }
  const int64_t at =
      pixel_offset(w, out.image, out_height, out_width, out.row, out.column) + out.channel;
  simt::store_pack<E>(y + at, simt::cast_pack<T>(best));
  if (indices != nullptr) {
    *reinterpret_cast<simt::Pack<Index, E>*>(indices + at) = found;
  }
}

template <class T, class Index>
struct MaxSource {
  const T* dy;
  const Index* indices;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(dy);
    visit(indices);
  }

  template <int E>
  struct Window {
    simt::Pack<T, E> dy;
    simt::Pack<Index, E> taps;

    __device__ simt::Pack<Compute<T>, E> operator()(int64_t tap) const {
      simt::Pack<Compute<T>, E> gradient;
#pragma unroll
      for (int e = 0; e < E; ++e) {
        gradient[e] = taps[e] == static_cast<Index>(tap) ? static_cast<Compute<T>>(dy[e]) : 0;
      }
      return gradient;
    }
  };

  template <int E>
  __device__ Window<E> load(const Windows&, int, int, int64_t offset) const {
    return {simt::load_pack<E>(dy + offset),
            *reinterpret_cast<const simt::Pack<Index, E>*>(indices + offset)};
  }
};

}  // namespace warptape::pool
