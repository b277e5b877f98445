#pragma once
// Casts between element types of different sizes. A block's elements pass through shared memory in
// the narrow type, so that both sides are read and written by 16 bytes.

#include "core/device/launch.h"
#include "core/elementwise.cuh"

namespace warptape::primitives::on_cuda {

template <class To, class From>
struct CastTile {
  using Narrow = std::conditional_t<sizeof(To) < sizeof(From), To, From>;
  using Wide = std::conditional_t<sizeof(To) < sizeof(From), From, To>;
  static constexpr int narrow = simt::pack_size<Narrow>;
  static constexpr int wide = simt::pack_size<Wide>;
  static constexpr int passes = narrow / wide;  // packs of Wide per thread, and one of Narrow
  static constexpr int elements = static_cast<int>(elementwise::block_threads) * narrow;
};

template <class To, class From>
__global__ void __launch_bounds__(elementwise::block_threads)
    cast_kernel(int64_t n, bool aligned, To* to, const From* from) {
  using Tile = CastTile<To, From>;
  using Narrow = typename Tile::Narrow;
  WARPTAPE_SHARED(Narrow, staged, [Tile::elements]);
  const int64_t first = int64_t{blockIdx.x} * Tile::elements;
  if (!aligned || first + Tile::elements > n) {
    for (int64_t i = threadIdx.x; i < Tile::elements && first + i < n; i += blockDim.x) {
      to[first + i] = static_cast<To>(from[first + i]);
    }
    return;
  }
  to += first;
  from += first;
  // The part of a pack of Wide in shared memory, one access.
  using Part = simt::Pack<Narrow, Tile::wide>;
  const auto part = [&](int pass) {
    return (pass * static_cast<int>(elementwise::block_threads) + static_cast<int>(threadIdx.x)) *
           Tile::wide;
  };
  Narrow* const own = staged + threadIdx.x * Tile::narrow;
  if constexpr (sizeof(From) < sizeof(To)) {
    simt::store16(own, simt::load16(from + threadIdx.x * Tile::narrow));
    __syncthreads();
#pragma unroll
    for (int pass = 0; pass < Tile::passes; ++pass) {
      const Part values = *reinterpret_cast<const Part*>(staged + part(pass));
      simt::Pack16<To> pack;
#pragma unroll
      for (int e = 0; e < Tile::wide; ++e) {
        pack[e] = static_cast<To>(values[e]);
      }
      simt::store16(to + part(pass), pack);
    }
  } else {
    simt::Pack16<From> packs[Tile::passes];
#pragma unroll
    for (int pass = 0; pass < Tile::passes; ++pass) {
      packs[pass] = simt::load16(from + part(pass));
    }
#pragma unroll
    for (int pass = 0; pass < Tile::passes; ++pass) {
      Part values;
#pragma unroll
      for (int e = 0; e < Tile::wide; ++e) {
        values[e] = static_cast<To>(packs[pass][e]);
      }
      *reinterpret_cast<Part*>(staged + part(pass)) = values;
    }
    __syncthreads();
    simt::store16(to + threadIdx.x * Tile::narrow, simt::load16(own));
  }
}

template <class To>
struct Convert : elementwise::NoPointers {
  template <class From>
  WARPTAPE_HOST_DEVICE To operator()(From x) const {
    return static_cast<To>(x);
  }
};

template <class To, class From>
void run_cast(gpu::StreamHandle stream, To* to, const From* from, int64_t n) {
  if constexpr (sizeof(To) == sizeof(From)) {
    elementwise::run_flat("cast", stream, n, Convert<To>{}, false, to,
                          elementwise::Inputs<From, 1>{{from}});
  } else {
    constexpr int64_t tile = CastTile<To, From>::elements;
    launch(cast_kernel<To, From>,
           {.grid = dim3(static_cast<unsigned>((n + tile - 1) / tile)),
            .block = dim3(elementwise::block_threads),
            .stream = stream,
            .name = "cast"},
           n, simt::is_aligned16(to) && simt::is_aligned16(from), to, from);
  }
}

}  // namespace warptape::primitives::on_cuda
