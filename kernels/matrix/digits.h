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
  int64_t in_image() const { return int64_t{middle} * inner; }  // where these are pixels

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

// Pixels in the order of 2 x 2 windows that lie side by side: four indices in a row are those of
// one window, row by row.
struct WindowedRadix {
  using Index = Digits;  // of a pixel: image, y, x
  int images = 1;
  int out_height = 1;  // windows
  int out_width = 1;
  static constexpr int window = 4;

  WARPTAPE_HOST_DEVICE int64_t windows() const { return int64_t{images} * out_height * out_width; }
  WARPTAPE_HOST_DEVICE int64_t size() const { return windows() * window; }
  int64_t in_image() const { return int64_t{out_height} * out_width * window; }
  WARPTAPE_HOST_DEVICE Digits split(int index) const {
    const Digits at = Radix{images, out_height, out_width}.split(index / window);
    return {at.outer, at.middle * 2 + index % window / 2, at.inner * 2 + index % 2};
  }
  WARPTAPE_HOST_DEVICE bool contains(const Digits& pixel) const { return pixel.outer < images; }
  // step: split(n) of a multiple of `window`.
  WARPTAPE_HOST_DEVICE void advance(Digits& pixel, const Digits& step) const {
    pixel.inner += step.inner;
    pixel.middle += step.middle;
    pixel.outer += step.outer;
    if (pixel.inner >= 2 * out_width) {
      pixel.inner -= 2 * out_width;
      pixel.middle += 2;
    }
    if (pixel.middle >= 2 * out_height) {
      pixel.middle -= 2 * out_height;
      ++pixel.outer;
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
