#pragma once
// What the loops of lines.cpp and line_filters.cpp share.

#include <cstdint>

#include "kernels/conv1d/line_kernels.h"

namespace warptape::lines {

const Level* level_in_use();  // nullptr: there is none for this processor

// Blocks of nearly equal size, none above the largest.
struct Blocks {
  Blocks(int64_t things, int64_t largest)
      : things(things), count((things + largest - 1) / largest) {}
  int64_t begin(int64_t block) const { return things * block / count; }
  int64_t size(int64_t block) const { return begin(block + 1) - begin(block); }
  int64_t largest() const { return (things + count - 1) / count; }

  int64_t things;
  int64_t count;
};

}  // namespace warptape::lines
