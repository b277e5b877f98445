#pragma once
// How a reduction is spread over threads and blocks: geometry, from shapes and addresses alone.
// Plain numbers: passed to kernels, and tested on the host.

#include <algorithm>
#include <cstdint>

#include "core/elementwise_places.h"
#include "core/strided_loop.h"

namespace warptape {

// A reduction as two loops: over what is kept (the output is the last operand) and, for each of
// these places, over what is reduced.
template <int Inputs>
struct ReduceLoops {
  StridedLoop<Inputs + 1> kept;
  StridedLoop<Inputs> reduced;
};

// Rows: the inputs are contiguous along the innermost reduced dimension, and `lanes` threads share
// the packs of a row. Columns: they are contiguous along the innermost kept dimension, and a block
// takes `lanes` packs side by side, every thread one pack of some rows. The packed dimension and
// its strides count packs. Where there are too few rows or columns to fill a GPU, the reduction is
// divided into chunks, one block each, whose results a second launch combines, a row per output.
template <int Inputs>
struct ReduceLayout : elementwise::NoPointers {
  bool columns = false;
  int pack = 1;  // elements per access
  int lanes = 1;
  int64_t outputs = 1;
  int64_t length = 1;  // of the reduction: packs of a row, or rows of a column
  int rest = 0;        // elements behind the packs of a row, where there is one row alone
  int64_t chunks = 1;
  int64_t chunk_length = 1;
  int64_t column_packs = 1;  // in the innermost kept dimension
  int64_t column_tiles = 1;  // that many packs in tiles of `lanes`
  int64_t output_step = 0;   // columns: elements of the output from one column to the next
  int64_t blocks = 1;        // per chunk

  int kept_rank = 0;
  int reduced_rank = 0;
  int64_t kept_extent[max_rank] = {};
  int64_t reduced_extent[max_rank] = {};
  int64_t kept_stride[Inputs][max_rank] = {};
  int64_t output_stride[1][max_rank] = {};  // of the kept dimensions
  int64_t reduced_stride[Inputs][max_rank] = {};
  bool repeats[Inputs] = {};   // one element fills a pack
  bool constant[Inputs] = {};  // along the whole reduction: loaded once
};

template <int Inputs>
struct ReducePlan {
  ReduceLayout<Inputs> first;
  ReduceLayout<1> second;  // over the first one's chunks
  int64_t partials = 0;    // elements of the workspace for the chunks' results; 0: no second launch
};

namespace reduce_detail {

inline constexpr int block_threads = 256;
// What an H100 runs at once: 132 multiprocessors with four blocks each.
inline constexpr int64_t multiprocessors = 132;
inline constexpr int64_t resident_blocks = 4 * multiprocessors;
// Packs that a thread takes at least, before the reduction is divided: a chunk pays for its launch.
inline constexpr int64_t least_column_packs = 16;
inline constexpr int64_t least_row_packs = 8;
// Packs of more inputs do not fit into the registers that 32 resident warps leave to a thread.
inline constexpr int most_packed_inputs = 2;

template <int Inputs>
bool is_rows(const ReduceLoops<Inputs>& loops) {
  const auto& reduced = loops.reduced;
  const bool nothing_kept = loops.kept.rank == 0;
  return nothing_kept ||
         (reduced.rank > 0 && reduced.stride[0][static_cast<size_t>(reduced.rank - 1)] == 1);
}

// Whether packs of `pack` elements along the last dimension of `packed` are contiguous, whole and
// aligned for every input that is not repeated there.
template <int Inputs, int A, int B>
bool fits_packs(const StridedLoop<A>& packed, const StridedLoop<B>& other, int64_t pack,
                const bool (&aligned)[Inputs]) {
  if (packed.rank == 0) {
    return false;
  }
  const auto inner = static_cast<size_t>(packed.rank - 1);
  bool fits = packed.extent[inner] % pack == 0;
  for (size_t n = 0; n < Inputs; ++n) {
    if (packed.stride[n][inner] == 0) {
      continue;
    }
    fits = fits && packed.stride[n][inner] == 1 && aligned[n];
    for (size_t d = 0; d < inner; ++d) {
      fits = fits && packed.stride[n][d] % pack == 0;
    }
    for (int d = 0; d < other.rank; ++d) {
      fits = fits && other.stride[n][static_cast<size_t>(d)] % pack == 0;
    }
  }
  return fits;
}

template <int Inputs>
void set_dimensions(const ReduceLoops<Inputs>& loops, ReduceLayout<Inputs>& layout) {
  layout.kept_rank = loops.kept.rank;
  layout.reduced_rank = loops.reduced.rank;
  std::copy(loops.kept.extent.begin(), loops.kept.extent.end(), layout.kept_extent);
  std::copy(loops.reduced.extent.begin(), loops.reduced.extent.end(), layout.reduced_extent);
  const Strides& output = loops.kept.stride[Inputs];
  std::copy(output.begin(), output.end(), layout.output_stride[0]);
  for (size_t n = 0; n < Inputs; ++n) {
    std::copy(loops.kept.stride[n].begin(), loops.kept.stride[n].end(), layout.kept_stride[n]);
    const Strides& stride = loops.reduced.stride[n];
    std::copy(stride.begin(), stride.end(), layout.reduced_stride[n]);
    layout.constant[n] = std::all_of(stride.begin(), stride.begin() + loops.reduced.rank,
                                     [](int64_t step) { return step == 0; });
  }
  layout.outputs = loops.kept.numel();
  layout.length = loops.reduced.numel();
}

inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Chunks of at least `least`, so many that the blocks fill the GPU.
template <int Inputs>
void set_chunks(ReduceLayout<Inputs>& layout, int64_t least) {
  const int64_t wanted = resident_blocks / std::max<int64_t>(layout.blocks, 1);
  const int64_t chunks =
      std::clamp<int64_t>(layout.length / least, 1, std::max<int64_t>(wanted, 1));
  layout.chunk_length = std::max<int64_t>(divide_up(layout.length, chunks), 1);
  layout.chunks = std::max<int64_t>(divide_up(layout.length, layout.chunk_length), 1);
}

template <int Inputs>
void set_rows(ReduceLayout<Inputs>& layout) {
  // At least four packs for every lane, so that the loads of a lane cover their latency; fewer,
  // where there are so few rows that they would leave most of the GPU idle.
  const int64_t packs = layout.length;
  const auto blocks = [&](int lanes) { return divide_up(layout.outputs, block_threads / lanes); };
  layout.lanes = packs <= 32 ? 4 : packs <= 64 ? 8 : packs <= 128 ? 16 : packs <= 1024 ? 32 : 256;
  while (layout.lanes < block_threads && blocks(layout.lanes) < multiprocessors) {
    const int more = layout.lanes < 32 ? 2 * layout.lanes : block_threads;
    if (more > packs) {
      break;
    }
    layout.lanes = more;
  }
  while (layout.lanes < layout.rest) {  // which take a lane each
    layout.lanes *= 2;
  }
  layout.blocks = blocks(layout.lanes);
  layout.chunk_length = std::max<int64_t>(packs, 1);
  if (layout.lanes == block_threads) {
    set_chunks(layout, least_row_packs * block_threads);
  }
}

// pack_bytes: of what a thread reads at once.
template <int Inputs>
void set_columns(ReduceLayout<Inputs>& layout, int64_t pack_bytes) {
  const int inner = layout.kept_rank - 1;
  layout.column_packs = layout.kept_extent[inner];
  // Lines of 128 bytes, or, where the last of these would hold little, sectors of 32.
  const int64_t line = 128 / pack_bytes;
  const int64_t sector = std::max<int64_t>(32 / pack_bytes, 1);
  const int64_t fewest_tiles = std::max<int64_t>(divide_up(layout.column_packs, line), 1);
  const int64_t even = divide_up(layout.column_packs, fewest_tiles);
  layout.lanes =
      static_cast<int>(fewest_tiles == 1 ? layout.column_packs : divide_up(even, sector) * sector);
  layout.lanes = std::max(layout.lanes, 1);
  layout.column_tiles = divide_up(layout.column_packs, layout.lanes);
  layout.blocks = layout.column_tiles;
  for (int d = 0; d < inner; ++d) {
    layout.blocks *= layout.kept_extent[d];
  }
  set_chunks(layout, least_column_packs * (block_threads / layout.lanes));
}

}  // namespace reduce_detail

// pack: elements of the inputs in 16 bytes. aligned: which inputs begin at 16 bytes.
template <int Inputs>
ReduceLayout<Inputs> reduce_layout(const ReduceLoops<Inputs>& loops, int pack,
                                   const bool (&aligned)[Inputs]) {
  using namespace reduce_detail;
  ReduceLayout<Inputs> layout;
  layout.columns = !is_rows(loops);
  set_dimensions(loops, layout);
  const bool packs = layout.columns ? fits_packs(loops.kept, loops.reduced, pack, aligned)
                                    : fits_packs(loops.reduced, loops.kept, pack, aligned);
  const bool one_row = Inputs == 1 && layout.kept_rank == 0 && layout.reduced_rank == 1 &&
                       layout.reduced_stride[0][0] == 1 && aligned[0] && layout.length >= pack;
  layout.pack = (packs || one_row) && Inputs <= most_packed_inputs ? pack : 1;
  const int inner = (layout.columns ? layout.kept_rank : layout.reduced_rank) - 1;
  for (int n = 0; n < Inputs && inner >= 0; ++n) {
    int64_t& stride =
        layout.columns ? layout.kept_stride[n][inner] : layout.reduced_stride[n][inner];
    layout.repeats[n] = stride == 0;
    stride *= layout.pack;
  }
  if (layout.columns) {
    layout.kept_extent[inner] /= layout.pack;
    layout.output_step = layout.output_stride[0][inner];
    layout.output_stride[0][inner] *= layout.pack;
    set_columns(layout, int64_t{16} / pack * layout.pack);
  } else {
    layout.rest = one_row ? static_cast<int>(layout.length % layout.pack) : 0;
    layout.length /= layout.pack;
    if (inner >= 0) {
      layout.reduced_extent[inner] /= layout.pack;
    }
    set_rows(layout);
  }
  return layout;
}

template <int Inputs>
ReducePlan<Inputs> reduce_plan(const ReduceLoops<Inputs>& loops, int pack,
                               const bool (&aligned)[Inputs]) {
  ReducePlan<Inputs> plan;
  plan.first = reduce_layout(loops, pack, aligned);
  if (plan.first.chunks == 1) {
    return plan;
  }
  plan.partials = plan.first.chunks * plan.first.outputs;
  // The partial results lie output by output, in the order of the kept loop.
  ReduceLoops<1> partials;
  partials.kept.rank = std::max(loops.kept.rank, 1);
  partials.kept.extent = loops.kept.extent;
  if (loops.kept.rank == 0) {
    partials.kept.extent[0] = 1;
  }
  partials.kept.stride[1] = loops.kept.stride[Inputs];
  int64_t stride = plan.first.chunks;
  for (int d = partials.kept.rank - 1; d >= 0; --d) {
    partials.kept.stride[0][static_cast<size_t>(d)] = stride;
    stride *= partials.kept.extent[static_cast<size_t>(d)];
  }
  partials.reduced.rank = 1;
  partials.reduced.extent[0] = plan.first.chunks;
  partials.reduced.stride[0][0] = 1;
  plan.second = reduce_layout<1>(partials, 1, {false});
  return plan;
}

}  // namespace warptape
