#pragma once
// The backward pass of adjacent windows that also sums what it writes, over all but channels.

#include <algorithm>

#include "core/simt/arrive.cuh"
#include "kernels/max_pool2d/max_pool2d.cuh"

namespace warptape::pool {

// Blocks own some of the tiles of RowsTile, all of the same channels. Each leaves its sums in
// memory; the last one of those with these channels adds them up, in an order that is always the
// same.
template <int E, class T>
struct SummedTiles {
  using Tile = RowsTile<E, T>;
  static constexpr int channels = Tile::channels;
  // For each multiprocessor of an H200 four, which is what registers allow; not asked of the GPU,
  // so that bits are the same on each.
  static constexpr int64_t most_blocks = int64_t{4} * 132;

  static WARPTAPE_HOST_DEVICE unsigned channel_tiles(const Windows& w) {
    return Tile::channel_tiles(w);
  }
  static WARPTAPE_HOST_DEVICE int64_t pixel_tiles(const Windows& w) {
    return (w.images * w.vertical.out_size * w.horizontal.out_size + Tile::pixels - 1) /
           Tile::pixels;
  }
  static unsigned blocks(const Windows& w) {
    const unsigned tiles = channel_tiles(w);
    const auto most = std::max<int64_t>(most_blocks / tiles, 1);
    return static_cast<unsigned>(std::min(pixel_tiles(w), most)) * tiles;
  }
};

template <int E, class T>
__global__ void __launch_bounds__(block_threads, E == 8 ? 3 : 4)
    max_backward_summed(const Windows __grid_constant__ w, bool by_rows, const T* dy,
                        const uint8_t* indices, T* dx, float* sums, double* partials,
                        unsigned long long* arrivals) {
  using Tiles = SummedTiles<E, T>;
  using Tile = typename Tiles::Tile;
  constexpr int channels = Tile::channels;
  WARPTAPE_SHARED(T, memory, [channels][Tile::pixels + 1]);
  WARPTAPE_SHARED(double, shared, [Tile::pixels][channels]);
  const unsigned channel_tiles = Tiles::channel_tiles(w);
  const unsigned blocks = gridDim.x / channel_tiles;  // of these channels
  const unsigned own_block = blockIdx.x / channel_tiles;
  const int64_t tiles = Tiles::pixel_tiles(w);
  const int taps = w.vertical.kernel * w.horizontal.kernel;
  double own[E] = {};
#pragma unroll 1
  for (int64_t at_tile = own_block; at_tile < tiles; at_tile += blocks) {
    const Tile tile(w, memory, at_tile);
    if (by_rows) {
      tile.for_each_of_rows(w, [&](int64_t at, T& value) { value = dy[at]; });
      __syncthreads();
    }
    const Place out = tile.own_place(w);
    if (out.image < w.images) {
      const int64_t at = pixel_offset(w, out.image, w.vertical.out_size, w.horizontal.out_size,
                                      out.row, out.column) +
                         out.channel;
      typename MaxSource<T, uint8_t>::template Window<E> window;
      window.taps = *reinterpret_cast<const simt::Pack<uint8_t, E>*>(indices + at);
      if (by_rows) {
#pragma unroll
        for (int e = 0; e < E; ++e) {
          window.dy[e] = memory[tile.own_channel() + e][tile.own_pixel()];
        }
      } else {
        window.dy = simt::load_pack<E>(dy + at);
      }
      spread_window<E>(w, out, window, dx);
#pragma unroll
      for (int e = 0; e < E; ++e) {
        // A window that ReLU set to zero has no element that gets its gradient.
        own[e] += window.taps[e] < taps ? static_cast<double>(window.dy[e]) : 0.0;
      }
    }
    if (by_rows) {
      __syncthreads();  // the tile has been read, and is overwritten
    }
  }
  const int thread = static_cast<int>(threadIdx.x);
  const Tile place(w, memory, 0);
#pragma unroll
  for (int e = 0; e < E; ++e) {
    shared[place.own_pixel()][place.own_channel() + e] = own[e];
  }
  __syncthreads();
  if (thread < channels) {
    double sum = 0;
    for (int pixel = 0; pixel < Tile::pixels; ++pixel) {
      sum += shared[pixel][thread];
    }
    partials[int64_t{blockIdx.x} * channels + thread] = sum;
  }
  WARPTAPE_SHARED(bool, is_last, [1]);
  __syncthreads();  // all have written
  if (thread == 0) {
    is_last[0] = simt::arrive_is_last(arrivals + blockIdx.x % channel_tiles, blocks);
  }
  __syncthreads();
  if (!is_last[0]) {
    return;
  }
  constexpr int sharers = block_threads / channels;
  const int channel = thread % channels;
  double sum = 0;
#pragma unroll 4
  for (unsigned block = static_cast<unsigned>(thread / channels); block < blocks;
       block += sharers) {
    sum += partials[(int64_t{block} * channel_tiles + blockIdx.x % channel_tiles) * channels +
                    channel];
  }
  shared[thread / channels][channel] = sum;
  __syncthreads();
  if (thread < channels && place.first_channel + thread < w.channels) {
    double all = 0;
    for (int sharer = 0; sharer < sharers; ++sharer) {
      all += shared[sharer][thread];
    }
    sums[place.first_channel + thread] = static_cast<float>(all);
  }
}

}  // namespace warptape::pool
