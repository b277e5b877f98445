#include "kernels/pool/pool_geometry.h"

#include <algorithm>
#include <limits>
#include <string>

#include "core/check.h"
#include "core/checked_size.h"
#include "core/parallel.h"
#include "kernels/geometry/axis_text.h"

namespace warptape {
namespace {

using Axes = std::span<const PoolAxisOptions>;

// How messages name what there is in one dimension, and in two.
struct Names {
  const char* x;
  const char* what;
  const char* axes[2];
};
constexpr Names names_of_rank[] = {{"(N, C, L)", "sequence", {"length", ""}},
                                   {"(N, C, H, W)", "image", {"height", "width"}}};

int64_t pooled_size(const char* op, const Operand& x, const char* name, int64_t size,
                    const PoolAxisOptions& axis, bool ceil_mode) {
  const int64_t span = axis.dilation * (axis.kernel_size - 1) + 1;
  // By so many elements the last window may lack some.
  const int64_t beyond = ceil_mode ? axis.stride - 1 : 0;
  const int64_t room = size + 2 * axis.padding - span + beyond;
  int64_t count = room >= 0 ? room / axis.stride + 1 : 0;
  if (ceil_mode && (count - 1) * axis.stride >= size + axis.padding) {
    --count;
  }
  check<ShapeError>(count > 0 && size > 0, x.site(),
                    "[{}] input {}: got {} with padding {}, wanted at least {} for kernel size {}",
                    op, name, size, axis.padding, std::max<int64_t>(span - beyond, 1),
                    axis.kernel_size);
  return count;
}

[[noreturn]] void refuse(const char* op, const char* option, const std::string& got,
                         const std::string& wanted, const Site& site) {
  throw ValueError(fmt::format("[{}] {}: got {}, wanted {}", op, option, got, wanted) + at(site));
}

std::string text_of(Axes axes, int64_t PoolAxisOptions::*option) {
  return tuple_of(axes, [&](const PoolAxisOptions& axis) { return axis.*option; });
}

void check_positive(const char* op, const char* name, Axes axes, int64_t PoolAxisOptions::*option,
                    const Site& site) {
  for (const PoolAxisOptions& axis : axes) {
    if (axis.*option < 1) {
      refuse(op, name, text_of(axes, option), "1 or more", site);
    }
  }
}

void check_options(const char* op, Axes axes, const Names& names, const Operand& x) {
  using O = PoolAxisOptions;
  const Site& site = x.site();
  check_positive(op, "kernel_size", axes, &O::kernel_size, site);
  check_positive(op, "stride", axes, &O::stride, site);
  check_positive(op, "dilation", axes, &O::dilation, site);
  for (size_t i = 0; i < axes.size(); ++i) {
    const O& axis = axes[i];
    if (axis.padding < 0 || axis.padding > axis.kernel_size / 2) {
      refuse(op, "padding", text_of(axes, &O::padding),
             "0 to half of the kernel size " + text_of(axes, &O::kernel_size), site);
    }
    const int64_t size = x.shape()[static_cast<int>(i) + 2];
    for (const int64_t number : {axis.kernel_size, axis.stride, axis.dilation, size}) {
      check<ValueError>(number <= PoolGeometry::largest, site,
                        "[{}] options and {}: got {}, wanted at most {}", op, names.what, number,
                        PoolGeometry::largest);
    }
  }
}

}  // namespace

PoolGeometry make_pool_geometry(const char* op, const Operand& x, Axes axes, bool ceil_mode) {
  const Names& names = names_of_rank[axes.size() - 1];
  check_floating(op, x);
  check_rank(op, x, static_cast<int>(axes.size()) + 2, names.x);
  const Site& site = x.site();
  check_options(op, axes, names, x);
  PoolGeometry g{.batch = x.size(0),
                 .channels = x.size(1),
                 .height = 1,
                 .width = x.size(-1),
                 .out_height = 1,
                 .out_width = 1,
                 .kernel = 1,
                 .stride = 1,
                 .padding = 0,
                 .dilation = 1,
                 .op = op,
                 .rank = static_cast<int>(axes.size())};
  const PoolAxisOptions& last = axes.back();
  if (axes.size() == 2) {
    const PoolAxisOptions& first = axes.front();
    if (first.kernel_size > std::numeric_limits<int>::max() / last.kernel_size) {
      refuse(op, "kernel_size", text_of(axes, &PoolAxisOptions::kernel_size),
             "fewer than 2^31 elements", site);
    }
    g.height = x.size(2);
    g.out_height = pooled_size(op, x, names.axes[0], g.height, first, ceil_mode);
    g.kernel.height = first.kernel_size;
    g.stride.height = first.stride;
    g.padding.height = first.padding;
    g.dilation.height = first.dilation;
  }
  g.out_width = pooled_size(op, x, names.axes[axes.size() - 1], g.width, last, ceil_mode);
  g.kernel.width = last.kernel_size;
  g.stride.width = last.stride;
  g.padding.width = last.padding;
  g.dilation.width = last.dilation;
  const int64_t pixels = std::max(g.height * g.width, g.out_height * g.out_width);
  check<ShapeError>(pixels == 0 || g.channels <= std::numeric_limits<int>::max() / pixels, site,
                    "[{}] {}: got shape {}, wanted fewer than 2^31 elements", op, names.what,
                    x.shape());
  check_countable(op, "output", pooled_shape(g), x.dtype(), site);
  return g;
}

PoolGeometry make_pool_geometry(const char* op, const Operand& x, Pair kernel_size, Pair stride,
                                Pair padding, Pair dilation, bool ceil_mode) {
  if (stride == Pair(0)) {
    stride = kernel_size;
  }
  const PoolAxisOptions axes[] = {
      {kernel_size.height, stride.height, padding.height, dilation.height},
      {kernel_size.width, stride.width, padding.width, dilation.width}};
  return make_pool_geometry(op, x, axes, ceil_mode);
}

PoolGeometry make_pool_geometry_1d(const char* op, const Operand& x, int64_t kernel_size,
                                   int64_t stride, int64_t padding, int64_t dilation,
                                   bool ceil_mode) {
  const PoolAxisOptions axis{kernel_size, stride == 0 ? kernel_size : stride, padding, dilation};
  return make_pool_geometry(op, x, std::span(&axis, 1), ceil_mode);
}

Shape pool_image(const PoolGeometry& g) {
  return {g.batch, g.channels, g.height, g.width};
}

Shape pooled_image(const PoolGeometry& g) {
  return {g.batch, g.channels, g.out_height, g.out_width};
}

Shape pool_shape(const PoolGeometry& g) {
  return g.rank == 1 ? Shape{g.batch, g.channels, g.width} : pool_image(g);
}

Shape pooled_shape(const PoolGeometry& g) {
  return g.rank == 1 ? Shape{g.batch, g.channels, g.out_width} : pooled_image(g);
}

int64_t pool_line_grain(const PoolGeometry& g) {
  const CheckedSize line_cost =
      CheckedSize(g.out_width) * g.channels * g.kernel.height * g.kernel.width;
  return default_grain / std::max<int64_t>(line_cost.capped(), 1) + 1;
}

}  // namespace warptape
