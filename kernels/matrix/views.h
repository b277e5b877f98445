#pragma once
// What the matrix core multiplies: matrices that lie in memory as they please. A view of the left
// operand has rows m, one of the right operand rows n (it is seen transposed), and both have the
// depth k over which products are summed. A view gives the address of an element, or nullptr for a
// zero that is not in memory: padding costs no copy. `group` picks one of several products of one
// shape: the groups of a convolution, the batches of a matmul.

#include "kernels/matrix/digits.h"

namespace warptape::matrix {

// A matrix in memory.
template <class T>
struct MatrixView {
  using Element = T;
  const T* data = nullptr;
  Range rows;
  Range depth;
  int64_t row_stride = 0;
  int64_t depth_stride = 0;
  int64_t group_stride = 0;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(data);
  }
  WARPTAPE_HOST_DEVICE const T* at(int row, int k) const {
    return data + row * row_stride + k * depth_stride;
  }
};

// Filters for the gradient of their input: rows are input channels, which are contiguous, and the
// depth is (tap y, tap x, output channel). Those of a group have less than 2^31 elements.
template <class T>
struct FilterView {
  using Element = T;
  const T* data = nullptr;
  Range rows;
  Radix depth;
  int tap_y_stride = 0;
  int tap_x_stride = 0;
  int channel_stride = 0;
  int64_t group_stride = 0;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(data);
  }
  WARPTAPE_HOST_DEVICE const T* at(int row, const Digits& k) const {
    return data +
           (k.outer * tap_y_stride + k.middle * tap_x_stride + k.inner * channel_stride + row);
  }
};

// Which pixel of an image a tap of a filter meets: position = pixel * stride + tap * dilation +
// offset, along both dimensions. The dilation may be negative.
struct TapGeometry {
  int height = 1;  // of the image that is read
  int width = 1;
  int pixel_pitch = 0;  // elements from a pixel to its neighbour: all channels
  int64_t image_pitch = 0;
  int stride_y = 1, stride_x = 1;
  int dilation_y = 1, dilation_x = 1;
  int offset_y = 0, offset_x = 0;

  // Dense images of these sizes. A matrix is such images of one pixel per row.
  static TapGeometry of_images(int height, int width, int channels) {
    TapGeometry taps;
    taps.height = height;
    taps.width = width;
    taps.pixel_pitch = channels;
    taps.image_pitch = int64_t{height} * width * channels;
    return taps;
  }
};

// A channels-last image as a matrix of pixels (image, y, x) by taps (y, x, channel of the group).
// Its rows are the pixels and its depth the taps, or the other way round.
template <class T, bool rows_are_pixels, class Rows = Radix>
struct ImageView {
  using Element = T;
  const T* data = nullptr;
  Rows rows;
  Radix depth;
  TapGeometry taps;
  int64_t group_stride = 0;

  template <class Visit>
  void for_each_pointer(Visit&& visit) const {
    visit(data);
  }
  WARPTAPE_HOST_DEVICE const T* at(const Digits& row, const Digits& k) const {
    const Digits& pixel = rows_are_pixels ? row : k;
    const Digits& tap = rows_are_pixels ? k : row;
    const int y = pixel.middle * taps.stride_y + taps.offset_y + tap.outer * taps.dilation_y;
    const int x = pixel.inner * taps.stride_x + taps.offset_x + tap.middle * taps.dilation_x;
    // A negative position is a huge unsigned one.
    if (static_cast<unsigned>(y) >= static_cast<unsigned>(taps.height) ||
        static_cast<unsigned>(x) >= static_cast<unsigned>(taps.width)) {
      return nullptr;
    }
    // Within an image 32 bits suffice.
    return data + pixel.outer * taps.image_pitch +
           ((y * taps.width + x) * taps.pixel_pitch + tap.inner);
  }
};

}  // namespace warptape::matrix
