#pragma once
// Which threads and loops serve a gather. Plain numbers, from shapes alone: passed to kernels, and
// tested on the host.

#include "core/elementwise_places.h"

namespace warptape {

// Over the elements of the index, in the memory order of y. Operands: y, the index, the element of
// x at place 0 of its line, and the place in logical order.
struct GatherLoop : elementwise::NoPointers {
  StridedLoop<4> loop;
  int64_t line = 0;    // elements of x along dim
  int64_t stride = 0;  // between neighbours of these
};

// Over the lines of dx along dim, in its memory order; some have no line of the index.
struct GatherLines : elementwise::NoPointers {
  static constexpr int most_per_thread = 32;

  int rank = 0;  // of the lines: without dim
  int64_t lines = 1;
  int64_t extent[max_rank] = {};
  int64_t covered[max_rank] = {};    // how far the index reaches
  int64_t stride[3][max_rank] = {};  // of dx, index, dy
  int64_t along[3] = {};             // the same along dim
  int64_t line = 0;                  // elements of dx along dim
  int64_t indices = 0;               // elements of the index along dim
  // A thread owns this many neighbours of one line, a tile; lines have so many tiles.
  int64_t per_thread = 1;
  int64_t tiles = 0;
  bool lanes_along_dim = false;  // neighbouring threads own tiles of one line
  // Few threads share a long index: each chunk of it is summed for itself, then chunk by chunk.
  int64_t chunks = 1;
  int64_t chunk_length = 0;

  int64_t threads() const { return lines * tiles; }                            // of a chunk
  int64_t partials() const { return chunks > 1 ? chunks * lines * line : 0; }  // float64
};

}  // namespace warptape
