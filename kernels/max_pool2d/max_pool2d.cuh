#pragma once
#include <limits>
#include <type_traits>

#include "kernels/pool/pool.cuh"

namespace warptape::pool {

// The largest of one window per channel of a pack, and where it was.
template <int E, class T, class Index>
struct Largest {
  simt::Pack<Compute<T>, E> values;
  simt::Pack<Index, E> taps;
};

template <int E, class Index, class T>
__device__ Largest<E, T, Index> largest_of(const Windows& w, bool with_relu, const T* x,
                                           const Place& out) {
  using Tap = std::conditional_t<sizeof(Index) == 1, int, int64_t>;
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
  return {best, found};
}

// indices may be nullptr: not wanted. The index bytes of a pack are one word.
template <int E, class Index>
__device__ void store_taps(Index* indices, int64_t at, const simt::Pack<Index, E>& taps) {
  if (indices != nullptr) {
    *reinterpret_cast<simt::Pack<Index, E>*>(indices + at) = taps;
  }
}

template <int E, class T, class Index>
__global__ void __launch_bounds__(block_threads, E == 8 ? 3 : 4)
    max_forward(const Windows __grid_constant__ w, bool with_relu, const T* x, T* y,
                Index* indices) {
  const int out_height = w.vertical.out_size;
  const int out_width = w.horizontal.out_size;
  const Place out = own_place<E>(w, out_height, out_width);
  if (out.image >= w.images) {
    return;
  }
  const Largest<E, T, Index> largest = largest_of<E, Index>(w, with_relu, x, out);
  const int64_t at =
      pixel_offset(w, out.image, out_height, out_width, out.row, out.column) + out.channel;
  simt::store_pack<E>(y + at, simt::cast_pack<T>(largest.values));
  store_taps<E>(indices, at, largest.taps);
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

// With y and dy row-major. A block owns `pixels` windows, counted over all images, by `packs` packs
// of channels. Threads of a pixel's packs stand side by side, those that go over the rows of y or
// dy side by side along pixels; the tile is turned in shared memory, where rows are one element
// longer than the tile so that neither way meets in a bank.
template <int E, class T>
struct RowsTile {
  static constexpr int pixels = 32;
  static constexpr int packs = block_threads / pixels;
  static constexpr int channels = packs * E;

  T (&tile)[channels][pixels + 1];
  const int size;  // windows of an image
  const int64_t first_pixel;
  const int first_channel;

  __device__ RowsTile(const Windows& w, T (&tile)[channels][pixels + 1])
      : RowsTile(w, tile, blockIdx.x / channel_tiles(w)) {}
  // Another one than the block's number says, of the same channels.
  __device__ RowsTile(const Windows& w, T (&tile)[channels][pixels + 1], int64_t number)
      : tile(tile),
        size(w.vertical.out_size * w.horizontal.out_size),
        first_pixel(number * pixels),
        first_channel(static_cast<int>(blockIdx.x % channel_tiles(w)) * channels) {}

  static WARPTAPE_HOST_DEVICE unsigned channel_tiles(const Windows& w) {
    return static_cast<unsigned>((w.channels + channels - 1) / channels);
  }
  static LaunchConfig config(const char* name, gpu::StreamHandle stream, const Windows& w) {
    const int64_t all = w.images * w.vertical.out_size * w.horizontal.out_size;
    return {.grid = dim3(static_cast<unsigned>((all + pixels - 1) / pixels) * channel_tiles(w)),
            .block = dim3(block_threads),
            .stream = stream,
            .name = name};
  }

  // Where the thread's pack is in the tile.
  __device__ int own_pixel() const { return static_cast<int>(threadIdx.x) / packs; }
  __device__ int own_channel() const { return static_cast<int>(threadIdx.x) % packs * E; }

  __device__ Place own_place(const Windows& w) const {
    const int channel = first_channel + own_channel();
    const int64_t pixel = first_pixel + own_pixel();
    const int64_t image = pixel / size;
    const int in_image = static_cast<int>(pixel - image * size);
    const int row = in_image / w.horizontal.out_size;
    return {channel < w.channels ? image : w.images, row, in_image - row * w.horizontal.out_size,
            channel};
  }

  // Calls visit(offset in y, element of the tile): whole rows of y by all threads.
  template <class Visit>
  __device__ void for_each_of_rows(const Windows& w, const Visit& visit) const {
    const int column = static_cast<int>(threadIdx.x) % pixels;
    const int64_t image = (first_pixel + column) / size;
    if (image >= w.images) {
      return;
    }
    const int64_t in_image = first_pixel + column - image * size;
    for (int c = static_cast<int>(threadIdx.x) / pixels; c < channels; c += packs) {
      if (first_channel + c < w.channels) {
        visit((image * w.channels + first_channel + c) * size + in_image, tile[c][column]);
      }
    }
  }
};

template <int E, class T, class Index>
__global__ void __launch_bounds__(block_threads, E == 8 ? 3 : 4)
    max_forward_rows(const Windows __grid_constant__ w, bool with_relu, const T* x, T* y,
                     Index* indices) {
  using Tile = RowsTile<E, T>;
  WARPTAPE_SHARED(T, memory, [Tile::channels][Tile::pixels + 1]);
  const Tile tile(w, memory);
  const Place out = tile.own_place(w);
  if (out.image < w.images) {
    const Largest<E, T, Index> largest = largest_of<E, Index>(w, with_relu, x, out);
    const simt::Pack<T, E> values = simt::cast_pack<T>(largest.values);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      memory[tile.own_channel() + e][tile.own_pixel()] = values[e];
    }
    const int64_t at =
        pixel_offset(w, out.image, w.vertical.out_size, w.horizontal.out_size, out.row, out.column);
    store_taps<E>(indices, at + out.channel, largest.taps);
  }
  __syncthreads();
  tile.for_each_of_rows(w, [&](int64_t at, const T& value) { y[at] = value; });
}

// Of adjacent windows.
template <int E, class T, class Index>
__global__ void __launch_bounds__(block_threads, E == 8 ? 3 : 4)
    max_backward_rows(const Windows __grid_constant__ w, const T* dy, const Index* indices, T* dx) {
  using Tile = RowsTile<E, T>;
  WARPTAPE_SHARED(T, memory, [Tile::channels][Tile::pixels + 1]);
  const Tile tile(w, memory);
  tile.for_each_of_rows(w, [&](int64_t at, T& value) { value = dy[at]; });
  __syncthreads();
  const Place out = tile.own_place(w);
  if (out.image >= w.images) {
    return;
  }
  const int64_t at =
      pixel_offset(w, out.image, w.vertical.out_size, w.horizontal.out_size, out.row, out.column);
  typename MaxSource<T, Index>::template Window<E> window;
  window.taps = *reinterpret_cast<const simt::Pack<Index, E>*>(indices + at + out.channel);
#pragma unroll
  for (int e = 0; e < E; ++e) {
    window.dy[e] = memory[tile.own_channel() + e][tile.own_pixel()];
  }
  spread_window<E>(w, out, window, dx);
}

}  // namespace warptape::pool
