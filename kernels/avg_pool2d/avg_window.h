#pragma once
#include <algorithm>

#include "kernels/pool/pool_windows.h"

namespace warptape {

// One dimension of a window.
struct AvgSpan {
  int begin, end;  // the part in the image
  int counted;     // of its elements
};

WARPTAPE_HOST_DEVICE inline AvgSpan avg_span(const PoolAxis& axis, int window,
                                             bool count_include_pad) {
  const int first = axis.first_element(window);
  // A window of ceil_mode may reach beyond the padding; what lies there counts in no case.
  const int last = std::min(first + axis.kernel, axis.size + axis.padding);
  const int begin = std::max(first, 0);
  const int end = std::min(last, axis.size);
  return {begin, end, count_include_pad ? last - first : end - begin};
}

struct AvgWindow {
  AvgSpan rows, columns;

  // What an element of the window contributes to the mean.
  WARPTAPE_HOST_DEVICE double share() const {
    return 1 / (static_cast<double>(rows.counted) * columns.counted);
  }
};

}  // namespace warptape
