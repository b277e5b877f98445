#pragma once
// How the CPU divides a weight into tiles, which its threads compute: whole slices where a tile can
// hold one, else parts of slices, whose sums are combined in between. From shapes alone: the same
// bits with any number of threads.

#include <algorithm>

#include "kernels/weight_norm/norm_dim.h"

namespace warptape::weight_norm_tiles {

// Neighbouring slices of a group, or a part of one: some of its lines, some of its run.
struct Tile {
  int64_t slice;
  int64_t columns;
  int64_t first_line;
  int64_t last_line;  // behind it
  int64_t offset;     // of the first element, from its line's first of all columns
  int64_t run;        // elements of every column in a line
  int64_t part;       // of its slices
};

inline constexpr int64_t most_columns = 256;
// Elements that stay in a core's cache of the second level between their sum and their second use,
// beside as many of a gradient.
inline constexpr int64_t most_elements = 131072;
// Of contiguous slices so many, which stay in the first level, or a single one.
inline constexpr int64_t most_elements_of_rows = 1024;
// Parts of what is larger: enough of them for many threads.
inline constexpr int64_t elements_of_part = 32768;
// Where whole slices make fewer tiles than that, threads would have nothing to do.
inline constexpr int64_t least_tiles = 8;
// Shorter runs are taken across slices, where there is more than one line.
inline constexpr int64_t least_run_along = 32;
inline constexpr int64_t most_across = 256;

class Tiles {
 public:
  explicit Tiles(const NormSlices& slices)
      : at_(slices),
        lines_(std::max<int64_t>(slices.outer * slices.lines, 1)),
        is_across_(lines_ > 1 && slices.run < least_run_along) {
    divide(most_elements);
    if (parts() > 1 || count() < least_tiles) {
      divide(elements_of_part);
    }
  }

  // Whether neighbours of a line are taken across slices.
  bool is_across() const { return is_across_; }
  // Whether a tile is contiguous: rows, each a slice, or a part of one.
  bool are_rows() const { return lines_ == 1; }
  int64_t parts() const { return line_parts() * run_parts(); }  // of a slice
  int64_t count() const { return at_.groups * column_tiles() * parts(); }
  int64_t elements() const { return tile_lines_ * run_ * columns_; }

  // Parts of the same slices follow each other.
  Tile operator[](int64_t index) const {
    const int64_t part = index % parts();
    const int64_t of_group = index / parts() % column_tiles();
    const int64_t group = index / parts() / column_tiles();
    const int64_t first = of_group * columns_;
    const int64_t begin = part % run_parts() * run_;
    const int64_t line = part / run_parts() * tile_lines_;
    return {group * at_.columns + first,
            std::min(columns_, at_.columns - first),
            line,
            std::min(line + tile_lines_, lines_),
            first * at_.run + begin,
            std::min(run_, at_.run - begin),
            part};
  }

  // The offset of a tile's first element in a line; columns are column_stride() apart.
  int64_t start(const Tile& tile, int64_t line) const {
    const int64_t group = tile.slice / at_.columns;
    const int64_t outer = line / at_.lines;
    const int64_t row = (outer * at_.groups + group) * at_.lines + line % at_.lines;
    return row * at_.columns * at_.run + tile.offset;
  }
  int64_t column_stride() const { return at_.run; }

  // Calls visit(start of the first, lines, stride) for lines of a tile that are equally far apart.
  template <class Visit>
  void each_block(const Tile& tile, const Visit& visit) const {
    const int64_t row = at_.columns * at_.run;
    if (at_.lines == 1) {
      visit(start(tile, tile.first_line), tile.last_line - tile.first_line, at_.groups * row);
      return;
    }
    for (int64_t line = tile.first_line; line < tile.last_line;) {
      const int64_t end = std::min(tile.last_line, (line / at_.lines + 1) * at_.lines);
      visit(start(tile, line), end - line, row);
      line = end;
    }
  }

 private:
  void divide(int64_t most) {
    run_ = std::clamp<int64_t>(at_.run, 1, most);
    const int64_t width = is_across_   ? most_across
                          : lines_ > 1 ? most / lines_
                                       : most_elements_of_rows;
    columns_ = std::clamp<int64_t>(width / run_, 1,
                                   std::min(most_columns, std::max<int64_t>(at_.columns, 1)));
    tile_lines_ = std::max<int64_t>(most / (run_ * columns_), 1);
    if (lines_ <= 2 * tile_lines_) {
      tile_lines_ = lines_;
    }
  }

  static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
  int64_t line_parts() const { return divide_up(lines_, tile_lines_); }
  int64_t run_parts() const { return std::max<int64_t>(divide_up(at_.run, run_), 1); }
  int64_t column_tiles() const { return divide_up(at_.columns, columns_); }

  NormSlices at_;
  int64_t lines_;  // of a slice, at least 1
  bool is_across_;
  int64_t run_;
  int64_t columns_;
  int64_t tile_lines_;
};

}  // namespace warptape::weight_norm_tiles
