#pragma once
// Which threads own a row, by its length. Depends on shapes and alignment only, never on the GPU:
// the same bits everywhere.
//
// - Staged: rows too short and too odd for 16-byte accesses of their own (5, 27, 147). A block
//   copies several at once to shared memory in 16-byte accesses; then a thread owns a row, or a
//   warp, where the row is longer.
// - Team: `lanes` threads own a row and hold it in registers, at most items_per_thread elements
//   each: a part of a warp, a warp (to 512 floats), or 2 to 32 warps (to 16,384).
// - Split: what no block can hold. Blocks own chunks; sums meet in device memory between two
//   launches.
// - Unaligned: tensors that do not start at a multiple of 16 bytes (slices). A team per row reads
//   it element by element, twice.

#include "kernels/rows/row_geometry.h"

namespace warptape::weight_norm_detail {

enum class Layout : int { Staged, Team, Split, Unaligned };

using rows::items_per_thread;
using rows::longest_staged_row;
using rows::max_threads;
using rows::power_of_two_from;
using rows::staged_lanes;
using rows::staged_rows;

// Staged rows in a block, where each is a warp's. One thread looks after each.
inline constexpr int most_rows_by_warps = 128;

struct Geometry {
  Layout layout = Layout::Team;
  int lanes = 1;           // threads per row, a power of two
  int rows_per_block = 1;  // Staged
};

// aligned: every tensor starts at a multiple of 16 bytes. tensors: how many of them a row is staged
// from.
template <class T>
constexpr Geometry geometry(int64_t length, int tensors, bool aligned) {
  constexpr int64_t pack = 16 / sizeof(T);
  Geometry result;
  if (!aligned) {
    const int64_t lanes = (length + items_per_thread<T> - 1) / items_per_thread<T>;
    result.layout = Layout::Unaligned;
    result.lanes = power_of_two_from(lanes < max_threads ? lanes : max_threads);
  } else if (length > int64_t{max_threads} * items_per_thread<T>) {
    result.layout = Layout::Split;
  } else if (length % pack != 0 && length <= longest_staged_row) {
    result.layout = Layout::Staged;
    result.lanes = staged_lanes(length);
    result.rows_per_block = staged_rows<T>(length, tensors);
  } else {
    const int64_t per_lane = length <= 32 * pack ? pack : items_per_thread<T>;
    result.lanes = power_of_two_from((length + per_lane - 1) / per_lane);
    // A row that does not start aligned has elements before and behind its packs, which take a lane
    // each.
    if (length % pack != 0 && result.lanes < 32) {
      result.lanes = 32;
    }
  }
  return result;
}

}  // namespace warptape::weight_norm_detail
