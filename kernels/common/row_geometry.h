#pragma once
// Which threads own a row, where a tensor is a set of rows along one dimension. Geometry, from
// shapes and addresses alone: the same bits on every GPU. Plain numbers, for kernels and tests.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/elementwise_places.h"

namespace warptape::rows {

// Registers for 64 bytes of a row per thread: with two tensors held a thread stays at 64 registers,
// and an SM keeps 32 warps.
template <class T>
inline constexpr int items_per_thread = 64 / static_cast<int>(sizeof(T));

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

  int64_t count() const { return outer * inner; }  // of rows
};

// - Team: rows are contiguous; `lanes` threads own one, a part of a warp, a warp or the block, and
//   hold it in registers. Longer rows than a block can hold are read twice.
// - Staged: contiguous rows too short and too odd for 16-byte accesses of their own. A block copies
//   several at once to shared memory in 16-byte accesses; then a thread owns a row, or a warp.
// - Columns: rows are `inner` elements apart from step to step. A warp is `lanes` threads wide
// along
//   the inner dimension, one pack of columns each, and 32 / lanes steps of the rows high; a block
//   is `across` by `down` warps. Rows of more than column_steps per thread are read twice.
enum class Layout : int { Team, Staged, Columns };

// Elements of a row that a thread of a team holds, and steps that a thread of columns does, of each
// tensor. Fewer than registers could hold: exponentials take some, too, those of doubles many.
template <class T>
inline constexpr int team_items = sizeof(T) == 8 ? 2 : 8;
template <class T>
inline constexpr int column_steps = sizeof(T) == 8 ? 1 : 2;

struct Plan : elementwise::NoPointers {
  Extents extents;
  Layout layout = Layout::Team;
  bool packed = false;  // accesses of 16 bytes
  int lanes = 1;        // a power of two
  int rows_per_block = 1;
  int across = 1;     // Columns
  int down = 1;       // Columns
  int64_t tiles = 1;  // Columns: blocks along the inner dimension
  int64_t blocks = 0;
  int threads = 256;
  size_t shared_bytes = 0;
};

namespace detail {

inline constexpr int block_threads = 256;

inline int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// One pack per lane of rows that a warp can hold so, else as many as the registers hold.
template <class T>
void plan_team(Plan& plan, bool aligned) {
  constexpr int64_t pack = 16 / sizeof(T);
  const int64_t length = plan.extents.length;
  plan.packed = aligned && (length % pack == 0 || length > longest_staged_row);
  const int64_t per_lane = length <= 32 * pack ? pack : team_items<T>;
  plan.lanes = power_of_two_from(std::min<int64_t>(divide_up(length, per_lane), max_threads));
  // A row that does not start aligned has elements before and behind its packs, which take a lane
  // each.
  if (plan.packed && length % pack != 0) {
    plan.lanes = std::max(plan.lanes, 32);
  }
  plan.threads = plan.lanes > 32 ? plan.lanes : block_threads;
  plan.rows_per_block = plan.threads / plan.lanes;
  plan.blocks = divide_up(plan.extents.outer, plan.rows_per_block);
}

template <class T>
void plan_staged(Plan& plan, int tensors) {
  const int64_t row_bytes = plan.extents.length * int64_t{sizeof(T)} * tensors;
  plan.layout = Layout::Staged;
  plan.packed = true;
  plan.lanes = staged_lanes(plan.extents.length);
  plan.rows_per_block = std::min(staged_rows<T>(plan.extents.length, tensors), block_threads);
  plan.shared_bytes = static_cast<size_t>(plan.rows_per_block * row_bytes);
  plan.blocks = divide_up(plan.extents.outer, plan.rows_per_block);
}

template <class T>
void plan_columns(Plan& plan, bool aligned) {
  constexpr int64_t pack = 16 / sizeof(T);
  const auto& [outer, length, inner] = plan.extents;
  plan.layout = Layout::Columns;
  plan.packed = aligned && inner % pack == 0;
  const int64_t elements = plan.packed ? pack : 1;
  const int64_t packs = inner / elements;
  // Lines of 128 bytes, wider where the rows are too short for so many steps.
  const int64_t line = 128 / (elements * int64_t{sizeof(T)});
  const int narrow = power_of_two_from(std::min(packs, line));
  const int high = std::min(32 / narrow, power_of_two_from(divide_up(length, column_steps<T>)));
  plan.lanes = 32 / high;
  const int64_t rest = divide_up(length, high * column_steps<T>);
  plan.down = plan.lanes > line ? 1 : power_of_two_from(std::min<int64_t>(rest, 8));
  plan.across = std::min(8 / plan.down, power_of_two_from(divide_up(packs, plan.lanes)));
  plan.threads = 32 * plan.across * plan.down;
  plan.tiles = divide_up(packs, plan.lanes * plan.across);
  plan.blocks = outer * plan.tiles;
}

}  // namespace detail

// tensors: how many are read. aligned: all of them and the output start at 16 bytes.
template <class T>
Plan make_plan(const Extents& extents, int tensors, bool aligned) {
  constexpr int64_t pack = 16 / sizeof(T);
  Plan plan;
  plan.extents = extents;
  const int64_t length = extents.length;
  if (extents.inner > 1) {
    detail::plan_columns<T>(plan, aligned);
  } else if (aligned && length % pack != 0 && length <= longest_staged_row) {
    detail::plan_staged<T>(plan, tensors);
  } else {
    detail::plan_team<T>(plan, aligned);
  }
  return plan;
}

}  // namespace warptape::rows
