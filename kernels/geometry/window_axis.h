#pragma once
#include <compare>
#include <cstdint>

namespace warptape {

// One spatial axis of a tensor over which a window slides. The window is a number of elements,
// called taps, `dilation` apart. By default one tap on one element, which changes nothing.
struct WindowAxis {
  int64_t size = 1;    // elements
  int64_t kernel = 1;  // taps
  int64_t stride = 1;
  int64_t padding_before = 0;  // zeros
  int64_t padding_after = 0;
  int64_t dilation = 1;
  int64_t out = 1;  // windows

  auto operator<=>(const WindowAxis&) const = default;

  int64_t span() const { return dilation * (kernel - 1) + 1; }  // from the first tap to the last
  // The element under a tap; in the padding where there is none.
  int64_t element(int64_t window, int64_t tap) const {
    return window * stride - padding_before + tap * dilation;
  }
  // Whether the windows would be these with padding_before on both sides: libraries that take one
  // number serve then.
  bool is_padded_evenly() const { return (size + 2 * padding_before - span()) / stride + 1 == out; }
};

}  // namespace warptape
