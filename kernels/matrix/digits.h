#pragma once
// Indices of several dimensions that a kernel steps through without dividing.

#include <cstdint>

#include "core/simt/host_device.h"

namespace warptape::matrix {

// A plain index.
struct Range {
  using Index = int;
  int extent = 1;

  WARPTAPE_HOST_DEVICE int64_t size() const { return extent; }
  WARPTAPE_HOST_DEVICE int split(int index) const { return index; }
  WARPTAPE_HOST_DEVICE bool contains(int index) const { return index < extent; }
  WARPTAPE_HOST_DEVICE void advance(int& index, int step) const { index += step; }
};

// A number in a mixed radix: outer is the slowest digit.
struct Digits {
  int outer = 0;
  int middle = 0;
  int inner = 0;
};

struct Radix {
  using Index = Digits;
  int outer = 1;  // extents
  int middle = 1;
  int inner = 1;

  WARPTAPE_HOST_DEVICE int64_t size() const { return int64_t{outer} * middle * inner; }

  // Beyond the end the outer digit grows without bound.
  WARPTAPE_HOST_DEVICE Digits split(int index) const {
    const int rest = index / inner;
    return {rest / middle, rest % middle, index % inner};
  }
  WARPTAPE_HOST_DEVICE bool contains(const Digits& digits) const { return digits.outer < outer; }

  // step: split(n), to advance by n.
  WARPTAPE_HOST_DEVICE void advance(Digits& digits, const Digits& step) const {
    digits.inner += step.inner;
    digits.middle += step.middle;
    digits.outer += step.outer;
    if (digits.inner >= inner) {
      digits.inner -= inner;
      ++digits.middle;
    }
    if (digits.middle >= middle) {
      digits.middle -= middle;
      ++digits.outer;
    }
  }
};

// Elements from one value of a digit to the next.
struct DigitStrides {
  int64_t outer = 0;
  int64_t middle = 0;
  int64_t inner = 0;

  WARPTAPE_HOST_DEVICE int64_t offset(const Digits& digits) const {
    return digits.outer * outer + digits.middle * middle + digits.inner * inner;
  }
};

}  // namespace warptape::matrix
