#pragma once
// Where the elements that belong to one norm lie. For kernels, too: it knows no tensor.

#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape {

// A weight in memory order, as weight norm's kernels see it: axes behind each other that are all
// kept, or all summed over, are one. Element (o, p, l, c, r) lies at
//   (((o * groups + p) * lines + l) * columns + c) * run + r
// and belongs to slice p * columns + c, whose norm is the slice's element of g. Contiguous slices
// have outer = groups = lines = 1: `columns` rows of `run` elements.
struct NormSlices {
  int64_t outer = 1;    // summed over
  int64_t groups = 1;   // kept
  int64_t lines = 1;    // summed over
  int64_t columns = 1;  // kept
  int64_t run = 1;      // summed over

  WARPTAPE_HOST_DEVICE int64_t count() const { return groups * columns; }
  WARPTAPE_HOST_DEVICE int64_t length() const { return outer * lines * run; }
  WARPTAPE_HOST_DEVICE bool are_rows() const { return outer * lines == 1; }

  template <class Visit>
  void for_each_pointer(Visit&&) const {}  // as a kernel's argument
};

}  // namespace warptape
