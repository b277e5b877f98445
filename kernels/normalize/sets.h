#pragma once
// Sets of elements that share a mean and a variance, or sums of a gradient, and which threads own
// one. Geometry, from shapes and addresses alone: the same bits on every GPU. Plain numbers, for
// kernels and tests.

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "core/elementwise_places.h"

namespace warptape::normalize {

// A dense tensor in memory order, of outer x along x sets x run elements: the set (o, j) has the
// elements ((o * along + a) * sets + j) * run + b for all a and b.
struct Sets {
  int64_t outer = 1;
  int64_t along = 1;
  int64_t sets = 1;
  int64_t run = 1;

  WARPTAPE_HOST_DEVICE int64_t count() const { return outer * sets; }
  WARPTAPE_HOST_DEVICE int64_t size() const { return along * run; }  // elements of one
  WARPTAPE_HOST_DEVICE int64_t width() const { return sets * run; }
  WARPTAPE_HOST_DEVICE int64_t first(int64_t o, int64_t j) const {
    return (o * along * sets + j) * run;
  }
};

// Two blocks for each multiprocessor of an H100 have enough loads under way, and leave the last
// block little to add up.
inline constexpr int block_threads = 256;
inline constexpr int64_t multiprocessors = 132;
inline constexpr int64_t wanted_blocks = multiprocessors * 2;

// Columns: runs are short. A block takes `lanes` packs side by side, whole sets, and its threads
// divide `along` among them. Else a set belongs to a part of a warp, a warp or a block (`lanes`
// threads, a power of two), which walks along its runs. Where there are too few for a GPU, chunks
// of `along`, or of a set's packs, have a block each.
struct SetsPlan : elementwise::NoPointers {
  Sets sets;
  bool columns = false;
  bool packed = false;  // accesses of 16 bytes
  int lanes = 1;
  int64_t tiles = 1;  // columns: of `lanes` packs, in the width
  int64_t blocks = 1;
  int64_t chunks = 1;
  int64_t chunk_length = 1;

  // Of columns, beside each other in a block.
  WARPTAPE_HOST_DEVICE int tile_width(int pack) const { return lanes * (packed ? pack : 1); }
  // Pairs of sums that wait for the last block.
  int64_t partials(int pack) const {
    return chunks == 1 ? 0 : blocks * chunks * (columns ? tile_width(pack) : 1);
  }
  int64_t counters() const { return chunks == 1 ? 0 : blocks; }
};

namespace detail {

inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Chunks of whole turns, four of them or more, so many that the blocks fill the GPU.
inline void set_chunks(SetsPlan& plan, int64_t length, int64_t turn) {
  const int64_t turns = std::max<int64_t>(divide_up(length, turn), 1);
  const int64_t wanted = std::max<int64_t>(wanted_blocks / std::max<int64_t>(plan.blocks, 1), 1);
  const int64_t chunks = std::clamp<int64_t>(turns / 4, 1, wanted);
  plan.chunk_length = divide_up(turns, chunks) * turn;
  plan.chunks = std::max<int64_t>(divide_up(length, plan.chunk_length), 1);
}

// A line of 128 bytes side by side, in whole sets.
inline void set_columns(SetsPlan& plan, int64_t elements, int64_t element_bytes) {
  const int64_t run = plan.sets.run;
  const int64_t packs = plan.sets.width() / elements;
  const int64_t unit = run / std::gcd(run, elements);  // packs of whole sets
  const int64_t line = std::min<int64_t>(128 / (elements * element_bytes), 32);
  plan.lanes = static_cast<int>(std::min(std::max(line / unit, int64_t{1}) * unit, packs));
  plan.tiles = divide_up(packs, plan.lanes);
  plan.blocks = plan.sets.outer * plan.tiles;
  set_chunks(plan, plan.sets.along, block_threads / plan.lanes);
}

inline void set_runs(SetsPlan& plan, int64_t elements) {
  const int64_t packs = plan.sets.size() / elements;
  const int64_t count = plan.sets.count();
  const bool few = count < multiprocessors * (block_threads / 32);
  plan.lanes = block_threads;
  if (packs < (few ? 128 : 1024)) {
    for (plan.lanes = 1; plan.lanes < 32 && plan.lanes * 4 < packs;) {
      plan.lanes *= 2;
    }
  }
  plan.blocks = divide_up(count, block_threads / plan.lanes);
  plan.chunk_length = packs;
  if (plan.lanes == block_threads) {
    set_chunks(plan, packs, block_threads);
  }
}

}  // namespace detail

// aligned: all tensors that are walked over start at 16 bytes.
template <class T>
SetsPlan make_sets_plan(Sets sets, bool aligned) {
  constexpr auto bytes = static_cast<int64_t>(sizeof(T));
  constexpr int64_t pack = 16 / bytes;
  constexpr int64_t sector = 32;
  if (sets.sets == 1) {
    sets.run *= sets.along;
    sets.along = 1;
  }
  SetsPlan plan;
  plan.sets = sets;
  plan.columns = sets.run * bytes < sector && sets.sets > 1;
  plan.packed = aligned && (plan.columns ? sets.width() : sets.run) % pack == 0;
  const int64_t elements = plan.packed ? pack : 1;
  if (plan.columns) {
    detail::set_columns(plan, elements, bytes);
  } else {
    detail::set_runs(plan, elements);
  }
  return plan;
}

}  // namespace warptape::normalize
