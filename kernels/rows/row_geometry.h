#pragma once
// Which threads own a row, where a tensor is a set of rows along one dimension. Geometry, from
// shapes and addresses alone: the same bits on every GPU. Plain numbers, for kernels and tests.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "core/elementwise_places.h"

namespace warptape::rows {

// Registers for 64 bytes of a row per thread, as arithmetic has it: with two tensors held a thread
// stays at 64 registers, and an SM keeps 32 warps.
constexpr int items_per_thread_of(int64_t element_bytes) {
  return static_cast<int>(64 / std::max<int64_t>(element_bytes, 4));
}
template <class T>
inline constexpr int items_per_thread = items_per_thread_of(sizeof(T));

inline constexpr int max_threads = 1024;
// Elements of rows that are staged if they are odd: longer ones are long enough for packs.
inline constexpr int64_t longest_staged_row = 384;
inline constexpr int64_t longest_row_of_thread = 64;
inline constexpr int64_t staged_bytes = 32 << 10;  // of shared memory per block

constexpr int power_of_two_from(int64_t least) {
  int result = 1;
  while (result < least) {
    result *= 2;
  }
  return result;
}

// Threads per row that was staged.
constexpr int staged_lanes(int64_t length) {
  return length <= longest_row_of_thread ? 1 : 32;
}

// Rows per block of `length` elements in each of `tensors`: whole warps, where a thread owns a row.
// Every block starts at a sector of device memory.
template <class T>
constexpr int staged_rows(int64_t length, int tensors) {
  const int64_t fitting = staged_bytes / (length * int64_t{sizeof(T)} * tensors);
  const int64_t step = staged_lanes(length) == 1 ? 32 : 32 / int64_t{sizeof(T)};
  return static_cast<int>(fitting / step * step);
}

// A dense tensor in memory order, with rows along `length`: element i of the row (o, n) is at
// (o * length + i) * inner + n. Rows are numbered o * inner + n.
struct Extents {
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;

  WARPTAPE_HOST_DEVICE int64_t count() const { return outer * inner; }  // of rows
};

// Which threads own a row.
enum class Layout : int {
  // Rows are contiguous. `lanes` threads own one (a part of a warp, a warp or the block) and hold
  // it in registers. Rows that no block can hold are read twice.
  Team,
  // Contiguous rows, too short and too odd for 16-byte accesses of their own. A block copies
  // several at once to shared memory in 16-byte accesses; then a thread owns a row, or a warp.
  Staged,
  // Rows are `inner` elements apart from step to step. A warp is `lanes` threads wide along the
  // inner dimension, one pack of columns each, and 32 / lanes steps of the rows high. A block is
  // `across` by `down` warps. Rows of more than column_steps per thread are read twice.
  Columns
};

// Where rows are long and few, several blocks share one, a chunk of its length each: a first launch
// leaves the state of every chunk, a second one combines them and gives the values.
enum class Part : int { Whole, States, Values };

// Elements of a row that a thread of a team holds, and steps that a thread of columns does, of each
// tensor. Fewer than registers could hold: exponentials take some, too, those of doubles many.
template <class T>
inline constexpr int team_items = sizeof(T) == 8 ? 2 : 8;
template <class T>
inline constexpr int column_steps = sizeof(T) == 8 ? 1 : 2;

// What an H100 runs at once: 132 multiprocessors with 1024 threads each.
inline constexpr int64_t multiprocessors = 132;
inline constexpr int64_t resident_threads = multiprocessors * 1024;

struct Plan : elementwise::NoPointers {
  Extents extents;
  Layout layout = Layout::Team;
  bool packed = false;  // accesses of 16 bytes
  int lanes = 1;        // a power of two
  int rows_per_block = 1;
  int across = 1;     // Columns
  int down = 1;       // Columns
  int64_t tiles = 1;  // Columns: along the inner dimension
  int64_t items = 0;  // groups of rows or of columns: what a block does, then perhaps a further one
  int64_t blocks = 0;
  int64_t chunks = 1;  // of each row
  int64_t chunk_length = 1;
  int threads = 256;
  size_t shared_bytes = 0;

  // Of all rows' chunks, where a second launch combines them.
  int64_t states() const { return chunks > 1 ? chunks * extents.count() : 0; }
};

// An Op that adds something up over the blocks wants no more of them than run at once.
enum class Blocks { OnePerItem, AsRunAtOnce };

namespace detail {

inline constexpr int block_threads = 256;
inline constexpr int64_t resident_blocks = resident_threads / block_threads;
inline constexpr int64_t most_blocks = (int64_t{1} << 31) - 1;

inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// Chunks of whole turns, at least `least` of them, so many that the items fill the GPU.
inline void divide_rows(Plan& plan, int64_t turn, int64_t least) {
  const int64_t turns = divide_up(plan.extents.length, turn);
  const int64_t wanted = resident_blocks / std::max<int64_t>(plan.items, 1);
  const int64_t chunks = std::clamp<int64_t>(turns / least, 1, std::max<int64_t>(wanted, 1));
  plan.chunk_length = divide_up(turns, chunks) * turn;
  plan.chunks = divide_up(plan.extents.length, plan.chunk_length);
}

// One pack per lane of rows that a warp can hold so, else as many as the registers hold.
template <class T>
void plan_team(Plan& plan, bool aligned, bool may_divide) {
  constexpr int64_t pack = 16 / sizeof(T);
  const int64_t length = plan.extents.length;
  plan.packed = aligned && (length % pack == 0 || length > longest_staged_row);
  const int64_t per_lane = length <= 32 * pack ? pack : team_items<T>;
  // Long rows have lanes to spare for the elements before and behind their packs, one each, where a
  // row does not start aligned.
  static_assert(longest_staged_row / team_items<T> >= 32);
  plan.lanes = power_of_two_from(std::min<int64_t>(divide_up(length, per_lane), max_threads));
  const bool divides = may_divide && length > int64_t{max_threads} * team_items<T> &&
                       plan.extents.outer <= resident_blocks / 2;
  if (divides) {
    plan.lanes = block_threads;
  }
  plan.threads = plan.lanes > 32 ? plan.lanes : block_threads;
  plan.rows_per_block = plan.threads / plan.lanes;
  plan.items = divide_up(plan.extents.outer, plan.rows_per_block);
  if (divides) {
    divide_rows(plan, int64_t{plan.lanes} * team_items<T>, 2);
  }
}

// A thread owns a row, or a warp, where the rows are longer. Blocks take fewer rows where these
// would leave most of the GPU idle, and warps own those that would not give every thread one.
template <class T>
void plan_staged(Plan& plan, int tensors) {
  const int64_t length = plan.extents.length;
  const int64_t row_bytes = length * int64_t{sizeof(T)} * tensors;
  plan.layout = Layout::Staged;
  plan.packed = true;
  plan.lanes = staged_lanes(length);
  plan.rows_per_block = std::min(staged_rows<T>(length, tensors), block_threads);
  if (divide_up(plan.extents.outer, plan.rows_per_block) < multiprocessors) {
    const int64_t rows = std::max<int64_t>(1, divide_up(plan.extents.outer, resident_blocks / 2));
    plan.lanes = rows < 16 ? 32 : plan.lanes;
    const int64_t step = plan.lanes == 1 ? 32 : 32 / int64_t{sizeof(T)};  // whole warps, or sectors
    plan.rows_per_block =
        static_cast<int>(std::min<int64_t>(divide_up(rows, step) * step, plan.rows_per_block));
  }
  plan.shared_bytes = static_cast<size_t>(plan.rows_per_block * row_bytes);
  plan.items = divide_up(plan.extents.outer, plan.rows_per_block);
}

template <class T>
void plan_columns(Plan& plan, bool aligned, bool may_divide) {
  constexpr int64_t pack = 16 / sizeof(T);
  const auto& [outer, length, inner] = plan.extents;
  plan.layout = Layout::Columns;
  plan.packed = aligned && inner % pack == 0;
  const int64_t elements = plan.packed ? pack : 1;
  const int64_t packs = inner / elements;
  // Lines of 128 bytes, or what a warp has threads for; wider where the rows are too short for so
  // many steps.
  const int64_t line = std::min<int64_t>(128 / (elements * int64_t{sizeof(T)}), 32);
  const int narrow = power_of_two_from(std::min(packs, line));
  const int high = std::min(32 / narrow, power_of_two_from(divide_up(length, column_steps<T>)));
  plan.lanes = 32 / high;
  const int64_t rest = divide_up(length, high * column_steps<T>);
  plan.down = plan.lanes > line ? 1 : power_of_two_from(std::min<int64_t>(rest, 8));
  plan.across = std::min(8 / plan.down, power_of_two_from(divide_up(packs, plan.lanes)));
  plan.threads = 32 * plan.across * plan.down;
  plan.tiles = divide_up(packs, plan.lanes * plan.across);
  plan.items = outer * plan.tiles;
  if (may_divide && plan.items <= resident_blocks / 2) {
    divide_rows(plan, int64_t{high} * plan.down * column_steps<T>, 4);
  }
}

}  // namespace detail

// tensors: how many are read. aligned: all of them and the output start at 16 bytes. may_divide:
// whether there may be chunks.
template <class T>
Plan make_plan(const Extents& extents, int tensors, bool aligned,
               Blocks blocks = Blocks::OnePerItem, bool may_divide = true) {
  constexpr int64_t pack = 16 / sizeof(T);
  Plan plan;
  plan.extents = extents;
  plan.chunk_length = extents.length;
  const int64_t length = extents.length;
  if (extents.inner > 1) {
    detail::plan_columns<T>(plan, aligned, may_divide);
  } else if (aligned && length % pack != 0 && length <= longest_staged_row) {
    detail::plan_staged<T>(plan, tensors);
  } else {
    detail::plan_team<T>(plan, aligned, may_divide);
  }
  const int64_t most =
      blocks == Blocks::AsRunAtOnce ? resident_threads / plan.threads : detail::most_blocks;
  plan.blocks = std::min(plan.items, most);
  return plan;
}

// The plan for tensors at these addresses; the last is the output, and may be nullptr.
template <class T>
Plan plan_of(const Extents& extents, std::initializer_list<const T*> tensors,
             Blocks blocks = Blocks::OnePerItem) {
  const bool aligned = std::all_of(tensors.begin(), tensors.end(), [](const T* tensor) {
    return elementwise::misalignment(tensor) == 0;
  });
  return make_plan<T>(extents, static_cast<int>(tensors.size()) - 1, aligned, blocks);
}

}  // namespace warptape::rows
