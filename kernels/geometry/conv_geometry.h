#pragma once
// Sizes of convolutions over one to three spatial axes.

#include <array>
#include <compare>
#include <span>

#include "core/operand.h"
#include "kernels/geometry/padding.h"
#include "kernels/geometry/window_axis.h"

namespace warptape {

// The op that asked, for messages. Any two are equal: what is kept for a geometry serves all ops.
struct AskingOp {
  const char* name = "conv";

  operator const char*() const { return name; }
  constexpr std::strong_ordering operator<=>(const AskingOp&) const {
    return std::strong_ordering::equal;
  }
  constexpr bool operator==(const AskingOp&) const { return true; }
};

// x: (batch, in_channels, sizes of the axes), filters: (out_channels, in_channels / groups,
// kernels of the axes), y: (batch, out_channels, outs of the axes).
struct ConvGeometry {
  static constexpr int max_rank = 3;

  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  AskingOp op{};
  int rank = 0;                             // axes that there are
  std::array<WindowAxis, max_rank> axes{};  // the outermost first; the rest change nothing

  // Keys of kept primitives and plans are geometries, so that none of its sizes is left out.
  auto operator<=>(const ConvGeometry&) const = default;

  int64_t in_per_group() const { return in_channels / groups; }
  int64_t out_per_group() const { return out_channels / groups; }
  int64_t pixels() const { return axes[0].size * axes[1].size * axes[2].size; }  // of an image
  int64_t out_pixels() const { return axes[0].out * axes[1].out * axes[2].out; }
  int64_t taps() const { return axes[0].kernel * axes[1].kernel * axes[2].kernel; }
  bool empty() const { return batch * in_channels * out_channels == 0; }

  // Of the product that makes y, and of each gradient: two for every tap of every element of y,
  // those that meet the padding too.
  int64_t flops() const { return 2 * y_shape().numel() * taps() * in_per_group(); }
  Shape x_shape() const;
  Shape filter_shape() const;
  Shape y_shape() const;

  // For kernels, which know two axes: one axis is the width of images of one line. In memory that
  // is the same, in either format. ShapeError for three.
  ConvGeometry as_planar() const;
  // The axes of such a geometry; ShapeError of another.
  const WindowAxis& vertical() const { return planar_axis(0); }
  const WindowAxis& horizontal() const { return planar_axis(1); }

 private:
  const WindowAxis& planar_axis(size_t index) const {
    if (rank != 2) [[unlikely]] {
      refuse_rank();
    }
    return axes[index];
  }
  [[noreturn]] void refuse_rank() const;
};

// Of an op's operands, which it checks: dtypes, devices, shapes and options, an entry per axis.
ConvGeometry conv_geometry(const char* op, const Operand& x, const Operand& weight,
                           const Operand& bias, std::span<const WindowOptions> options,
                           int64_t groups);

// Of shapes alone.
ConvGeometry conv_geometry(const char* op, const Shape& x, const Shape& weight,
                           std::span<const WindowOptions> options, int64_t groups,
                           const Site& site = {});

// Of a transposed convolution the geometry of the convolution that it is the transpose of: the
// roles of x and y are exchanged, and its data gradient is the result. x: (batch, out_channels,
// outs of the axes), weight: filter_shape(), result: x_shape().
// output_padding: as many elements more at the end of an axis, which no window need reach; less
// than its stride or its dilation.
ConvGeometry conv_transpose_geometry(const char* op, const Operand& x, const Operand& weight,
                                     const Operand& bias, std::span<const WindowOptions> options,
                                     std::span<const int64_t> output_padding, int64_t groups);

// ValueError names the option: what can be said before sizes are known.
void check_window_options(const char* op, std::span<const WindowOptions> options, const Site& site);
// The same of what a transposed convolution has of its own: output_padding, and no rule of padding.
void check_transposed_options(const char* op, std::span<const WindowOptions> options,
                              std::span<const int64_t> output_padding, const Site& site);

}  // namespace warptape
