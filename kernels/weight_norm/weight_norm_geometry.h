#pragma once
// Which threads own a slice, by its length and where it lies. Depends on shapes and alignment only,
// never on the GPU: the same bits everywhere. A row is a slice whose elements are contiguous.
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
// - Columns: slices of several lines, wherever they start. A block owns some neighbours in all
//   lines, element by element, and holds them in shared memory.
// - ColumnParts: those of which no block holds enough to read whole sectors. Blocks own some lines
//   of some neighbours; sums meet in device memory between two launches.

#include <numeric>

#include "kernels/rows/row_geometry.h"
#include "kernels/weight_norm/weight_norm_cuda.h"

namespace warptape::weight_norm_detail {

enum class Layout : int { Staged, Team, Split, Unaligned, Columns, ColumnParts };

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
  int rows_per_block = 1;  // Staged, Columns
};

// ---- slices of several lines ------------------------------------------------------------------

inline constexpr int most_columns = 64;            // slices of a block
inline constexpr int most_width = max_threads;     // their elements in a line
inline constexpr int64_t column_bytes = 80 << 10;  // of dynamic shared memory
inline constexpr int64_t resident_column_blocks = 2 * rows::multiprocessors;

// Doubles of shared memory in which the threads of a block leave their sums: three of norms of
// doubles.
template <class T>
inline constexpr int64_t column_partials = int64_t{most_width} * (sizeof(T) > 4 ? 3 : 1);

// What a block owns of slices of several lines: `columns` neighbours, `run` elements of each in a
// line, `lines` lines.
struct ColumnPlan {
  int columns = 1;
  int run = 1;
  int64_t lines = 1;
  int64_t run_parts = 1;
  int64_t line_parts = 1;
  int threads = max_threads;  // of the block that take part: the order of sums is theirs

  WARPTAPE_HOST_DEVICE int64_t parts() const { return run_parts * line_parts; }  // of a slice
  template <class Visit>
  void for_each_pointer(Visit&&) const {}
};

constexpr int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// The least number of neighbouring slices whose elements in a line are whole sectors.
template <class T>
constexpr int64_t whole_sectors(const NormSlices& at) {
  return std::min<int64_t>(32 / std::gcd<int64_t>(32, at.run * int64_t{sizeof(T)}), at.columns);
}

// tensors: how many are held.
template <class T>
constexpr Geometry column_geometry(const NormSlices& at, int tensors) {
  const int64_t lines = at.outer * at.lines;
  const auto bytes = [&](int64_t columns) {
    return lines * columns * at.run * int64_t{sizeof(T)} * tensors + column_partials<T> * 8;
  };
  const auto fits = [&](int64_t columns) {
    return columns <= most_columns && columns * at.run <= most_width &&
           bytes(columns) <= column_bytes;
  };
  int64_t columns = whole_sectors<T>(at);
  // Two lines' parts of sectors in three whole ones are less than what a second reading costs.
  while (columns > 1 && !fits(columns) && columns / 2 * at.run * int64_t{sizeof(T)} >= 64) {
    columns /= 2;
  }
  if (!fits(columns)) {
    return {.layout = Layout::ColumnParts};
  }
  while (fits(2 * columns) && columns < at.columns &&
         at.groups * divide_up(at.columns, 2 * columns) >= resident_column_blocks) {
    columns *= 2;
  }
  const int64_t elements = lines * columns * at.run;
  return {.layout = Layout::Columns,
          .lanes = power_of_two_from(std::min<int64_t>(divide_up(elements, 8), max_threads)),
          .rows_per_block = static_cast<int>(columns)};
}

// Of Layout::ColumnParts: as few whole sectors of a line as there are, since every block of a tile
// reads the sums of all its parts, and so many parts that they fill the GPU.
template <class T>
constexpr ColumnPlan column_parts(const NormSlices& at) {
  ColumnPlan plan;
  int64_t columns = whole_sectors<T>(at);
  while (columns > 1 && (columns * at.run > most_width || columns > most_columns)) {
    columns /= 2;
  }
  plan.columns = static_cast<int>(columns);
  plan.run = static_cast<int>(std::min<int64_t>(at.run, most_width));
  plan.run_parts = divide_up(at.run, plan.run);
  const int64_t lines = at.outer * at.lines;
  const int64_t tiles = at.groups * divide_up(at.columns, columns) * plan.run_parts;
  const int64_t wanted = divide_up(resident_column_blocks, tiles);
  const int64_t most = std::max<int64_t>(lines * columns * plan.run / 4096, 1);
  plan.lines = divide_up(lines, std::min(wanted, most));
  plan.line_parts = divide_up(lines, plan.lines);
  return plan;
}

// ---- rows -------------------------------------------------------------------------------------

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

// Of one weight.
template <class T, class Weight>
Geometry geometry_of(const Weight& weight, int tensors, bool aligned) {
  return !weight.places.are_rows() ? column_geometry<T>(weight.places, tensors)
                                   : geometry<T>(weight.length, tensors, aligned);
}

}  // namespace warptape::weight_norm_detail
