#pragma once
// How a box is placed in a tensor whose other elements are one value, in one launch: a plan, from
// shapes and addresses alone. Plain numbers: passed to the kernel, and tested on the host.

#include "core/elementwise_places.h"

namespace warptape {

// The target's dimensions in the order of memory, those merged that the box covers whole. Counted
// in packs, of which the innermost dimension is made.
struct PlacePlan : elementwise::NoPointers {
  int pack = 1;
  int rank = 0;
  int64_t packs = 1;              // of the target
  int64_t extent[max_rank] = {};  // of the target
  int64_t begin[max_rank] = {};   // of the box
  int64_t step[max_rank] = {};
  int64_t count[max_rank] = {};
  int64_t stride[max_rank] = {};  // of the source, in elements
};

}  // namespace warptape
