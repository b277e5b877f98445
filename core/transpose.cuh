#pragma once
// Copies between two orders of the same elements: `from` is contiguous along one dimension (rows of
// the tile below), `to` along another (columns). A tile passes through shared memory, so that both
// sides are read and written in whole lines.

#include "core/device/launch.h"
#include "core/elementwise_places.h"
#include "core/simt/packs.cuh"

namespace warptape::transpose {

// Tiles of one dimension pair; the others are flattened into `batch`.
struct Tiles : elementwise::NoPointers {
  int64_t from_extent = 0;  // of the dimension in which `from` is contiguous
  int64_t to_extent = 0;
  int64_t from_line = 0;  // elements of `from` between neighbours in to's contiguous dimension
  int64_t to_line = 0;
  int64_t from_tiles = 0;
  int64_t to_tiles = 0;
  int batch_rank = 0;
  int64_t batch_extent[max_rank] = {};
  int64_t batch_stride[2][max_rank] = {};  // of to, of from
};

// A tile is `lines` lines of `side` elements of `from`. Lanes read packs of E elements: eight fill
// a line of 128 bytes. The odd pitch keeps both the writes along a line and the reads across lines
// free of bank conflicts.
template <class T, int E>
struct Tile {
  static constexpr int width = E == 1 ? 32 : 8;  // lanes along a line
  static constexpr int side = width * E;
  static constexpr int passes = 4;
  static constexpr int lines = passes * elementwise::block_threads / width;
};

template <class T, int E>
__global__ void __launch_bounds__(elementwise::block_threads)
    kernel(const Tiles __grid_constant__ tiles, bool accumulate, T* to, const T* from) {
  using Shape = Tile<T, E>;
  WARPTAPE_SHARED(T, tile, [Shape::lines][Shape::side + 1]);
  int64_t rest = blockIdx.x;
  const int64_t first_column = rest % tiles.to_tiles * Shape::lines;
  rest /= tiles.to_tiles;
  const int64_t first_row = rest % tiles.from_tiles * Shape::side;
  rest /= tiles.from_tiles;
  for (int d = tiles.batch_rank - 1; d >= 0; --d) {
    const int64_t index = rest % tiles.batch_extent[d];
    rest /= tiles.batch_extent[d];
    to += index * tiles.batch_stride[0][d];
    from += index * tiles.batch_stride[1][d];
  }

  simt::Pack<T, E> packs[Shape::passes] = {};
#pragma unroll
  for (int pass = 0; pass < Shape::passes; ++pass) {
    const int i = static_cast<int>(threadIdx.x + pass * elementwise::block_threads);
    const int64_t column = first_column + i / Shape::width;
    const int64_t row = first_row + i % Shape::width * E;
    if (column < tiles.to_extent && row < tiles.from_extent) {
      packs[pass] = simt::load_pack<E>(from + column * tiles.from_line + row);
    }
  }
#pragma unroll
  for (int pass = 0; pass < Shape::passes; ++pass) {
    const int i = static_cast<int>(threadIdx.x + pass * elementwise::block_threads);
#pragma unroll
    for (int e = 0; e < E; ++e) {
      tile[i / Shape::width][i % Shape::width * E + e] = packs[pass][e];
    }
  }
  __syncthreads();
#pragma unroll
  for (int pass = 0; pass < Shape::passes; ++pass) {
    const int i = static_cast<int>(threadIdx.x + pass * elementwise::block_threads);
    const int in_row = i / Shape::width % Shape::side;
    const int in_column = (i % Shape::width + i / (Shape::width * Shape::side) * Shape::width) * E;
    const int64_t row = first_row + in_row;
    const int64_t column = first_column + in_column;
    if (row < tiles.from_extent && column < tiles.to_extent) {
      T* const target = to + row * tiles.to_line + column;
      simt::Pack<T, E> pack = {};
      if (accumulate) {
        pack = simt::load_pack<E>(target);
      }
#pragma unroll
      for (int e = 0; e < E; ++e) {
        const T value = tile[in_column + e][in_row];
        pack[e] = accumulate ? written(true, pack[e], static_cast<Compute<T>>(value)) : value;
      }
      simt::store_pack<E>(target, pack);
    }
  }
}

// The dimension in which `from` is contiguous, if the pair of it and the last one, in which `to`
// is, is worth tiles; else -1.
inline int tiled_dimension(const StridedLoop<2>& loop) {
  constexpr int64_t worth = 8;
  const auto last = static_cast<size_t>(loop.rank - 1);
  if (loop.rank < 2 || loop.stride[0][last] != 1 || loop.extent[last] < worth) {
    return -1;
  }
  for (size_t d = 0; d < last; ++d) {
    if (loop.stride[1][d] == 1 && loop.extent[d] >= worth) {
      return static_cast<int>(d);
    }
  }
  return -1;
}

template <class T, int E>
void launch_tiles(const char* name, gpu::StreamHandle stream, Tiles tiles, bool accumulate, T* to,
                  const T* from) {
  using Shape = Tile<T, E>;
  tiles.from_tiles = (tiles.from_extent + Shape::side - 1) / Shape::side;
  tiles.to_tiles = (tiles.to_extent + Shape::lines - 1) / Shape::lines;
  int64_t blocks = tiles.from_tiles * tiles.to_tiles;
  for (int d = 0; d < tiles.batch_rank; ++d) {
    blocks *= tiles.batch_extent[d];
  }
  launch(kernel<T, E>,
         {.grid = dim3(static_cast<unsigned>(blocks)),
          .block = dim3(elementwise::block_threads),
          .stream = stream,
          .name = name},
         tiles, accumulate, to, from);
}

// to <- from, or to <- to + from, over a loop for which tiled_dimension() is `tiled`.
template <class T>
void run(const char* name, gpu::StreamHandle stream, const StridedLoop<2>& loop, int tiled,
         bool accumulate, T* to, const T* from) {
  constexpr int E = sizeof(T) >= 4 ? simt::pack_size<T> : 1;  // bytes go one by one
  const int last = loop.rank - 1;
  bool packs = simt::is_aligned16(to) && simt::is_aligned16(from);
  Tiles tiles;
  for (int d = 0; d < loop.rank; ++d) {
    const auto i = static_cast<size_t>(d);
    packs = packs && (d == last || loop.stride[0][i] % E == 0) &&
            (d == tiled || loop.stride[1][i] % E == 0);
    if (d != last && d != tiled) {
      tiles.batch_extent[tiles.batch_rank] = loop.extent[i];
      tiles.batch_stride[0][tiles.batch_rank] = loop.stride[0][i];
      tiles.batch_stride[1][tiles.batch_rank] = loop.stride[1][i];
      ++tiles.batch_rank;
    }
  }
  tiles.from_extent = loop.extent[static_cast<size_t>(tiled)];
  tiles.to_extent = loop.extent[static_cast<size_t>(last)];
  tiles.from_line = loop.stride[1][static_cast<size_t>(last)];
  tiles.to_line = loop.stride[0][static_cast<size_t>(tiled)];
  packs = packs && tiles.from_extent % E == 0 && tiles.to_extent % E == 0;
  if (packs) {
    launch_tiles<T, E>(name, stream, tiles, accumulate, to, from);
  } else {
    launch_tiles<T, 1>(name, stream, tiles, accumulate, to, from);
  }
}

}  // namespace warptape::transpose
